"""Immich v2.6.0.

Encoded videos are rows of asset_file; editors of an album may change its name and description.

Revision ID: v2.6.0
Revises: v2.5.2
Create Date: 2026-11-26
"""

from alembic import op

revision = "v2.6.0"
down_revision = "v2.5.2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v2.6.0")


def downgrade() -> None:
    op.install_linked("v2.5.2")
