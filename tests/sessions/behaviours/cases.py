"""The table of behaviours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Run = Callable[[Any, Any], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """A behaviour: `run(session, m)` returns what is compared. `m` has the models and the helpers of one side.

    `differs` says why ours is another one on purpose; then the results must not be equal.
    """

    name: str
    run: Run
    differs: str = ""
    options: tuple[tuple[str, Any], ...] = ()


CASES: list[Case] = []


def case(name: str, *, differs: str = "", **options: Any) -> Callable[[Run], Run]:
    """Add a behaviour. `options` are those of the session."""

    def add(run: Run) -> Run:
        assert name not in [each.name for each in CASES], name
        CASES.append(Case(name, run, differs, tuple(options.items())))
        return run

    return add


async def error_of(awaitable: Awaitable[Any]) -> str:
    """ "error" if awaiting raises one of the library's errors, else "no error"."""
    try:
        await awaitable
    except Exception as error:  # noqa: BLE001 - any error of either library counts
        return "error" if not isinstance(error, (AssertionError, TypeError, NameError)) else repr(error)
    return "no error"


async def call(function: Callable[..., Any], *args: Any) -> Any:
    """A synchronous call as an awaitable, for `error_of`."""
    return function(*args)
