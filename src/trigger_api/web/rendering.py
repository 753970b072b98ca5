"""Templates to HTML."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from trigger_api.web.assets import DIGEST
from trigger_api.web.pages import MENU

_environment = Environment(
    loader=PackageLoader("trigger_api.web", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# Compiled before the first request: that takes longer than an event loop should be held up.
_TEMPLATES = {name: _environment.get_template(name) for name in _environment.list_templates()}


def render(template: str, *, root: str, **values: Any) -> str:
    """A page.

    Args:
        template: its file's name.
        root: the path prefix of the service, empty or such as ``/speech``.
        values: what the template shows.
    """
    return _TEMPLATES[template].render(root=root, static=f"{root}/static/{DIGEST}", menu=MENU, **values)
