from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from trigger_api.accounts.caller import LOCAL, Caller
from trigger_api.accounts.manager import Accounts
from trigger_api.schemas import SignUp
from trigger_api.settings import Settings
from trigger_api.storage.database import Database

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
async def accounts(database: Database) -> AsyncIterator[Accounts]:
    made = Accounts(database, Settings())
    yield made
    await made.close()


async def test_who_has_no_account_owns_things_by_a_name_that_nobody_can_take(accounts: Accounts) -> None:
    local = Caller(owner=LOCAL)
    first = await accounts.users.owner_id(local)
    assert first is not None
    assert first == await accounts.users.owner_id(local)
    assert first != await accounts.users.owner_id(Caller(owner="token:0123456789abcdef"))
    assert await accounts.users.owner_id(Caller()) is None
    with pytest.raises(ValueError, match="name"):
        SignUp(name=LOCAL, password="correct horse")
    await accounts.users.delete(first)
    assert await accounts.users.owner_id(local) not in (None, first)


async def test_an_account_owns_its_own(accounts: Accounts) -> None:
    user = await accounts.users.create(name="ada", password="correct horse")
    assert await accounts.users.owner_id(Caller(user_id=user.id, owner=LOCAL)) == user.id
