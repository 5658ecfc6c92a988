"""Immich v2.5.2.

asset_job_status.previewAt and thumbnailAt are gone.

Revision ID: v2.5.2
Revises: v2.5.0
Create Date: 2026-11-26
"""

from alembic import op

revision = "v2.5.2"
down_revision = "v2.5.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v2.5.2")


def downgrade() -> None:
    op.install_linked("v2.5.0")
