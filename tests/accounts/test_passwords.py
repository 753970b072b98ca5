from __future__ import annotations

from collections.abc import Iterator

import pytest

from trigger_api.accounts.passwords import Passwords
from trigger_api.errors import Overloaded


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


async def test_a_password_is_stored_as_argon2id(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$")
    assert stored != await passwords.hash("correct horse")
    assert await passwords.verify("correct horse", stored)
    assert not await passwords.verify("correct house", stored)
    assert not await passwords.verify("nobody's", None)


async def test_a_password_is_the_same_however_it_is_typed(passwords: Passwords) -> None:
    assert await passwords.verify("cafe\u0301 olé", await passwords.hash("caf\u00e9 ole\u0301"))


async def test_a_flood_is_refused(passwords: Passwords) -> None:
    import asyncio

    answers = await asyncio.gather(*(passwords.hash("p") for _ in range(40)), return_exceptions=True)
    assert any(isinstance(answer, Overloaded) for answer in answers)
    assert all(isinstance(answer, Overloaded | str) for answer in answers)
