"""Immich v1.138.0, the oldest supported release.

Installs the addon: its state, its functions and its triggers on Immich's tables. Removing it deletes all clones and
leaves Immich as if it had never been there.

Revision ID: v1.138.0
Revises:
Create Date: 2026-11-24
"""

from alembic import op

revision = "v1.138.0"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_linked("v1.138.0")


def downgrade() -> None:
    op.remove_linked()
