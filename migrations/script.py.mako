"""Immich ${up_revision}: ${message}

Say what changed in the tables that the addon touches, and what that means for linked media. Nothing else belongs in
this file: how the addon works in this release follows from the model (linked_asset/immich) and the SQL (linked_asset/sql).
- The revision is named after the Immich release, and so is the file, with underscores for dots.
- upgrade() installs for this release, downgrade() for the one before. Each installs everything; a climb over several
  revisions runs the last script only, so a revision must not count on the script of the one before having run.
- A revision that has been published does not change; what an installation does is pinned by the golden files in tests.

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date.date()}
"""

from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    op.install_linked(${repr(up_revision)})


def downgrade() -> None:
    op.install_linked(${repr(down_revision)})
