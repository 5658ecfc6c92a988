"""Immich v3.0.0.

The owner of an album is a row of album_user; streams of videos; no asset.deviceId any more.

Revision ID: v3.0.0
Revises: v2.7.0
Create Date: 2026-11-26
"""

from alembic import op

revision = "v3.0.0"
down_revision = "v2.7.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v3.0.0")


def downgrade() -> None:
    op.install_linked("v2.7.0")
