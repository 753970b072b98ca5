from __future__ import annotations

import threading

import pytest
from fakeredis import TcpFakeServer
from limits import parse

from trigger_api.accounts.limits import Concurrency, RateLimiter, Throttle, household
from trigger_api.errors import RateLimited


async def test_requests_are_counted_by_caller() -> None:
    limiter, limit = RateLimiter("memory://"), parse("2/minute")
    quotas = [await limiter.hit(limit, "requests", "ada") for _ in range(3)]
    assert [(quota.allowed, quota.remaining) for quota in quotas] == [(True, 1), (True, 0), (False, 0)]
    assert 0 < quotas[-1].reset_s <= 60
    assert (await limiter.hit(limit, "requests", "eve")).allowed


async def test_processes_count_together_in_redis() -> None:
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    limit, url = parse("2/minute"), f"redis://127.0.0.1:{server.server_address[1]}"
    limiters = [RateLimiter(url) for _ in range(3)]
    assert [(await limiter.hit(limit, "requests", "ada")).allowed for limiter in limiters] == [True, True, False]
    for limiter in limiters:
        await limiter.close()
    server.shutdown()
    server.server_close()
    thread.join()


async def test_without_redis_nothing_is_limited() -> None:
    limiter, limit = RateLimiter("redis://127.0.0.1:1"), parse("1/minute")
    assert [(await limiter.hit(limit, "requests", "ada")).allowed for _ in range(2)] == [True, True]
    await limiter.clear(limit, "requests", "ada")
    await limiter.close()


async def test_whoever_knows_the_password_may_try_again() -> None:
    throttle = Throttle(RateLimiter("memory://"))
    for _ in range(30):
        await throttle.log_in(name="ada", address="192.0.2.1")
        await throttle.logged_in(name="ada", address="192.0.2.1")


def test_open_requests_are_counted_until_they_end() -> None:
    concurrency = Concurrency(1)
    for _ in range(2):
        with concurrency.slot("ada"), concurrency.slot("eve"):
            with pytest.raises(RateLimited) as raised, concurrency.slot("ada"):
                pytest.fail("that was one too many")
            assert raised.value.members == {"violated-policies": ["concurrency"]}
    assert concurrency._open == {}


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_a_household_shares_an_address(address: str, counted: str) -> None:
    assert household(address) == counted
