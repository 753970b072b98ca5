"""``python -m trigger_api`` is ``trigger-api``."""

from trigger_api.cli import app

app()
