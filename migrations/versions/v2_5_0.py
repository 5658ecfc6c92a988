"""Immich v2.5.0.

Edits: asset_edit, files of edited pictures, width and height, faces and text that an edit hides.

Revision ID: v2.5.0
Revises: v2.4.0
Create Date: 2026-11-26
"""

from alembic import op

revision = "v2.5.0"
down_revision = "v2.4.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v2.5.0")


def downgrade() -> None:
    op.install_linked("v2.4.0")
