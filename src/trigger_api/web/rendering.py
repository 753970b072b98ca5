"""Templates to HTML."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from trigger_api.web.assets import DIGEST
from trigger_api.web.pages import MENU


def render(template: str, *, root: str, **values: Any) -> str:
    """A page.

    Args:
        template: its file's name.
        root: the path prefix of the service, empty or such as ``/speech``.
        values: what the template shows.
    """
    return (
        _environment().get_template(template).render(root=root, static=f"{root}/static/{DIGEST}", menu=MENU, **values)
    )


@lru_cache
def _environment() -> Environment:
    loader = PackageLoader("trigger_api.web", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
