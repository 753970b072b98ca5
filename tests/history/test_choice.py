from __future__ import annotations

import pytest

from trigger_api.accounts.caller import LOCAL, Caller
from trigger_api.errors import StorageUnavailable, Unauthenticated, Unprocessable
from trigger_api.history.choice import is_wanted
from trigger_api.storage.tables import new_id

ADA, TOKEN = Caller(user_id=new_id()), Caller(owner="token:1")
KEEPER = Caller(user_id=new_id(), keeps_history=True)
NOBODY, HERE, UNKNOWN = Caller(), Caller(owner=LOCAL), Caller(verified=False)


@pytest.mark.parametrize(
    ("caller", "save", "by_default", "wanted"),
    [(ADA, None, False, False), (ADA, True, False, True), (ADA, None, True, True), (ADA, False, True, False),
     (KEEPER, None, False, True), (KEEPER, False, False, False), (TOKEN, None, True, True), (TOKEN, True, False, True),
     (HERE, None, True, False), (HERE, True, False, True), (NOBODY, None, True, False), (NOBODY, False, False, False),
     (UNKNOWN, None, True, False)],
)  # fmt: skip
def test_who_keeps_what(caller: Caller, save: bool | None, by_default: bool, wanted: bool) -> None:
    assert is_wanted(caller, save, has_history=True, by_default=by_default) is wanted


def test_what_cannot_be_kept() -> None:
    with pytest.raises(Unauthenticated):
        is_wanted(NOBODY, True, has_history=True)
    with pytest.raises(StorageUnavailable):
        is_wanted(UNKNOWN, True, has_history=True)
    with pytest.raises(Unprocessable):
        is_wanted(ADA, True, has_history=False)
    assert not is_wanted(KEEPER, None, has_history=False)
