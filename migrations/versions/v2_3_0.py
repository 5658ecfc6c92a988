"""Immich v2.3.0.

Columns of the tables between two others are named in the singular: album_asset.albumId, tag_asset.tagId.

Revision ID: v2.3.0
Revises: v2.2.0
Create Date: 2026-11-26
"""

from alembic import op

revision = "v2.3.0"
down_revision = "v2.2.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v2.3.0")


def downgrade() -> None:
    op.install_linked("v2.2.0")
