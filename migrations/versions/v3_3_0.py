"""Immich v3.3.0.

Persons can be shared within a cluster group.

Revision ID: v3.3.0
Revises: v3.2.0
Create Date: 2026-11-26
"""

from alembic import op

revision = "v3.3.0"
down_revision = "v3.2.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v3.3.0")


def downgrade() -> None:
    op.install_linked("v3.2.0")
