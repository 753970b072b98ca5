"""Labels know the task that found them: pages of a task's label are a range of an index.

Revision 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEX = "ix_prediction_labels_owner_id_label_task_prediction_id"


def upgrade() -> None:
    """Add the task to the labels, and an index."""
    op.add_column("prediction_labels", sa.Column("task", sa.String(length=64), nullable=False, server_default=""))
    op.execute(
        "UPDATE prediction_labels SET task = "
        "(SELECT task FROM predictions WHERE predictions.id = prediction_labels.prediction_id)"
    )
    op.create_index(op.f(_INDEX), "prediction_labels", ["owner_id", "label", "task", "prediction_id"], unique=False)


def downgrade() -> None:
    """Remove both."""
    op.drop_index(op.f(_INDEX), "prediction_labels")
    op.drop_column("prediction_labels", "task")
