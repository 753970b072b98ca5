"""``python -m trigger_api`` is ``trigger-api``."""

from trigger_api.cli.main import app

app()
