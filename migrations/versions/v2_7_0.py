"""Immich v2.7.0.

asset.checksumAlgorithm.

Revision ID: v2.7.0
Revises: v2.6.0
Create Date: 2026-11-26
"""

from alembic import op

revision = "v2.7.0"
down_revision = "v2.6.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v2.7.0")


def downgrade() -> None:
    op.install_linked("v2.6.0")
