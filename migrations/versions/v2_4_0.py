"""Immich v2.4.0.

Sidecars are rows of asset_file; asset_exif.lockedProperties.

Revision ID: v2.4.0
Revises: v2.3.0
Create Date: 2026-11-26
"""

from alembic import op

revision = "v2.4.0"
down_revision = "v2.3.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v2.4.0")


def downgrade() -> None:
    op.install_linked("v2.3.0")
