"""The tasks: one folder each, with everything that it serves with, and the only list of them all."""

from trigger_api.tasks.base import Context, Task
from trigger_api.tasks.digits.task import Digits
from trigger_api.tasks.emotions.task import Emotions
from trigger_api.tasks.entities.task import Entities
from trigger_api.tasks.faces.task import Faces
from trigger_api.tasks.objects.task import Objects
from trigger_api.tasks.raw import Raw
from trigger_api.tasks.trigger.task import Trigger

TASKS: tuple[type[Task], ...] = (Trigger, Digits, Faces, Emotions, Objects, Entities, Raw)

__all__ = ["TASKS", "Context", "Task"]
