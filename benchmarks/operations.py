"""The operations: their preparation, the part that is timed, and the form in which results are compared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.base import POST, USER, VALUES, Peer, comparable, plain

USERS = 1000


async def _nothing(peer: Peer, n: str, i: int) -> Any:
    return None


async def _none(peer: Peer, result: Any) -> Any:
    return None


@dataclass(frozen=True)
class Operation:
    """One line of the tables.

    Attributes:
        run: what is timed, with what `prepare` gave; `prepare` gets a text and a number that no other call gets.
        plain: its result as plain data, for the comparison. None: only the table afterwards is compared.
        times: how often one round runs it.
        writes: whether it changes the table, which is then restored after each round.
        full_only: whether a quick run leaves it out.
    """

    name: str
    title: str
    run: Callable[[Peer, Any], Awaitable[Any]]
    prepare: Callable[[Peer, str, int], Awaitable[Any]] = _nothing
    plain: Callable[[Peer, Any], Awaitable[Any]] = _none
    times: int = 20
    writes: bool = False
    full_only: bool = False


# Preparation, before the clock starts.


def key(i: int) -> int:
    """The key of a user, scattered over the table."""
    return i * 7919 % USERS + 1


async def _key(peer: Peer, n: str, i: int) -> int:
    return key(i)


async def _keys(peer: Peer, n: str, i: int) -> list[int]:
    return [key(i * 13 + j) for j in range(100)]


async def _person(peer: Peer, n: str, i: int) -> dict[str, Any]:
    return {"name": f"New {n}", "email": f"{n}@example.com", "age": 30}


def _people(count: int) -> Callable[[Peer, str, int], Awaitable[Any]]:
    async def prepare(peer: Peer, n: str, i: int) -> list[dict[str, Any]]:
        return [{"name": f"Bulk {j}", "email": f"{n}-{j}@example.com", "age": 20 + j % 50} for j in range(count)]

    return prepare


async def _inserted(peer: Peer, n: str, i: int) -> int:
    user = await peer.insert_one(f"New {n}", f"{n}@example.com", 30)
    return int(plain(user, ("id",))[0])


async def _renamed(peer: Peer, n: str, i: int) -> tuple[int, str]:
    return key(i), f"Renamed {n}"


# Timed functions that are more than one call.


def _gets(count: int) -> Callable[[Peer, Any], Awaitable[Any]]:
    async def run(peer: Peer, start: int) -> Any:
        return await asyncio.gather(*(peer.get(key(start + j)) for j in range(count)))

    return run


async def _stream(peer: Peer, _: None) -> tuple[int, int]:
    rows = total = 0
    async for event in peer.stream():
        rows += 1
        total += event[1] if isinstance(event, tuple) or type(event).__name__ == "Record" else event.value
    return rows, total


# Results as plain data.


async def _user(peer: Peer, result: Any) -> Any:
    return plain(result, USER)


async def _users(peer: Peer, result: Any) -> Any:
    return sorted(plain(user, USER) for user in result)


async def _ordered(peer: Peer, result: Any) -> Any:
    return [plain(user, USER) for user in result]


async def _number(peer: Peer, result: Any) -> Any:
    return comparable(result)


async def _numbers(peer: Peer, result: Any) -> Any:
    row = result[0] if isinstance(result, list) else result
    # An average may come as a float, a Decimal, or as text.
    return [comparable(float(value)) for value in (row.values() if isinstance(row, dict) else row)]


async def _posts(peer: Peer, result: Any) -> Any:
    return sorted([*plain(post, POST), *plain(peer.parent(post), USER)] for post in result)


async def _dicts(peer: Peer, result: Any) -> Any:
    return sorted(plain(row, VALUES) for row in result)


async def _tree(peer: Peer, result: Any) -> Any:
    return await peer.trees(result, nested=False)


async def _deep_tree(peer: Peer, result: Any) -> Any:
    return await peer.trees(result, nested=True)


OPERATIONS = (
    Operation("insert_one", "insert one", lambda peer, row: peer.insert_one(**row), _person, writes=True),
    Operation(
        "insert_100", "insert 100", lambda peer, rows: peer.insert_many(rows), _people(100), times=5, writes=True
    ),
    Operation(
        "insert_10000",
        "insert 10,000",
        lambda peer, rows: peer.insert_many(rows),
        _people(10_000),
        times=1,
        writes=True,
        full_only=True,
    ),
    Operation("get", "get by key", lambda peer, key: peer.get(key), _key, _user, times=50),
    Operation("filter_many", "filter, ~950 rows", lambda peer, _: peer.filter_many(), plain=_users),
    Operation("filter_one", "filter, one row", lambda peer, _: peer.filter_one("User 5"), plain=_users, times=50),
    Operation("filter_complex", "complex filter", lambda peer, _: peer.filter_complex(), plain=_users),
    Operation("filter_in", "IN of 100 keys", lambda peer, keys: peer.filter_in(keys), _keys, _users),
    Operation("order_limit", "order, limit 10", lambda peer, _: peer.order_limit(), plain=_ordered),
    Operation("count", "count", lambda peer, _: peer.count(), plain=_number),
    Operation("aggregates", "three aggregates", lambda peer, _: peer.aggregates(), plain=_numbers),
    Operation("update_one", "update one", lambda peer, given: peer.update_one(*given), _renamed, writes=True),
    Operation("update_many", "update ~50", lambda peer, _: peer.update_many(), writes=True),
    Operation("delete_one", "delete one", lambda peer, key: peer.delete_one(key), _inserted, writes=True),
    Operation("join", "20,000 rows with their parent", lambda peer, _: peer.join(), plain=_posts, times=2),
    Operation("prefetch", "prefetch 1,000 x 20", lambda peer, _: peer.prefetch(), plain=_tree, times=2),
    Operation("nested", "nested prefetch", lambda peer, _: peer.nested(), plain=_deep_tree, times=2),
    Operation("values", "values() of 20,000 rows", lambda peer, _: peer.values(), plain=_dicts, times=2),
    Operation("concurrent_10", "10 gets at once", _gets(10), _key, _users, times=10),
    Operation("concurrent_50", "50 gets at once", _gets(50), _key, _users, times=5),
    Operation("concurrent_200", "200 gets at once", _gets(200), _key, _users, times=2),
    Operation(
        "transaction", "transaction of five", lambda peer, row: peer.five(**row), _person, _user, times=10, writes=True
    ),
    Operation(
        "session",
        "session: 1,000 changed, 1,000 new",
        lambda peer, rows: peer.unit_of_work(rows),
        _people(1000),
        times=1,
        writes=True,
    ),
    Operation("stream", "stream 1,000,000 rows", _stream, plain=_numbers, times=1, full_only=True),
)
BY_NAME = {operation.name: operation for operation in OPERATIONS}
