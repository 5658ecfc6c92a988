"""Immich v2.2.0.

Text found in pictures: asset_ocr, ocr_search, asset_job_status.ocrAt.

Revision ID: v2.2.0
Revises: v1.138.0
Create Date: 2026-11-26
"""

from alembic import op

revision = "v2.2.0"
down_revision = "v1.138.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v2.2.0")


def downgrade() -> None:
    op.install_linked("v1.138.0")
