"""Immich v3.2.0.

A person is one account's view of a person group; albums may have no description; dates of recognized text.

Revision ID: v3.2.0
Revises: v3.0.0
Create Date: 2026-11-26
"""

from alembic import op

revision = "v3.2.0"
down_revision = "v3.0.0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v3.2.0")


def downgrade() -> None:
    op.install_linked("v3.0.0")
