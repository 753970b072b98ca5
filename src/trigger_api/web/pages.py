"""Which pages there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Page:
    """One page. Its template is ``NAME.html``, and its script ``NAME.js``.

    Attributes:
        name: of its files.
        path: below the service's root.
        title: in the navigation and in the browser's list of tabs.
        needs: what the service must have for it.
        public: whether it is shown before anybody has logged in, where everybody has to.
    """

    name: str
    path: str
    title: str
    needs: Literal["nothing", "accounts"] = "nothing"
    public: bool = False


PAGES = (
    Page("home", "/", "Home"),
    Page("trigger", "/trigger", "Trigger words"),
    Page("rooms", "/rooms", "Rooms"),
    Page("digits", "/digits", "Digits"),
    Page("emotions", "/emotions", "Emotions"),
    Page("objects", "/objects", "Objects"),
    Page("entities", "/entities", "Entities"),
    Page("history", "/history", "History", needs="accounts"),
    Page("log-in", "/log-in", "Log in", needs="accounts", public=True),
    Page("sign-up", "/sign-up", "Sign up", needs="accounts", public=True),
    Page("account", "/account", "Account", needs="accounts"),
    Page("reset", "/account/reset", "New password", needs="accounts", public=True),
)
PATHS = frozenset({page.path for page in PAGES})
PUBLIC = frozenset({page.path for page in PAGES if page.public})
MENU = PAGES[:7]
