"""Whether a prediction is kept: as the request says, or else as the account or the route does."""

from __future__ import annotations

from trigger_api.accounts.caller import LOCAL, Caller
from trigger_api.errors import StorageUnavailable, Unauthenticated, Unprocessable


def is_wanted(caller: Caller, save: bool | None, *, has_history: bool, by_default: bool = False) -> bool:
    """Whether to keep what a request predicts.

    Args:
        caller: who sends it.
        save: what the request says.
        has_history: whether the server has a history at all.
        by_default: whether the route keeps predictions of callers who are signed in and say nothing.

    Raises:
        Unprocessable: the request asks for it, and there is no history.
        Unauthenticated, StorageUnavailable: it asks for it, and the caller is nobody in particular, or unknown now.
    """
    if save and not has_history:
        raise Unprocessable("this server has no database, and so no history: leave `save` out")
    if save:
        check_owner(caller)
    if save is None:
        save = caller.keeps_history or (by_default and _is_signed_in(caller))
    return has_history and save


def check_owner(caller: Caller) -> None:
    """Check that a caller can own something.

    Raises:
        Unauthenticated: the caller is nobody in particular.
        StorageUnavailable: that cannot be told now.
    """
    if not caller.verified:
        raise StorageUnavailable("the database is unavailable; try again later", retry_after=2)
    if caller.user_id is None and caller.owner is None:
        raise Unauthenticated("log in, or send a token: a history belongs to somebody")


def _is_signed_in(caller: Caller) -> bool:
    """Whether a caller has said who they are: to be on the server's own machine is not enough."""
    return caller.user_id is not None or caller.owner not in (None, LOCAL)
