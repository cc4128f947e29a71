"""What waits for a commit: when it runs, and when it never does."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

import orm
from tests.conformance.cases import Area

case = Area("after a commit")

# What is done, step by step; a tuple is a block. Each block writes, so that what runs after its commit can tell.
#   "a", "b", …  on_commit() of what notes the letter, and what it finds in the database
#   "fails"      on_commit() of what fails; "fails, robust" with robust=True
#   "registers"  on_commit() of what calls on_commit() itself
#   "begins"     on_commit() of what calls it in a block of its own
#   STOP         an error of the program's; DUPLICATE one of the database's
# An error leaves its block and is caught outside of it, which is noted too.
STOP, DUPLICATE = "stop", "duplicate"

STEPS: dict[str, tuple[Any, ...]] = {
    "outside of blocks at once": ("a", "b"),
    "in the order of registration": (("a", "b", "c"), "d"),
    "of one block after the other": (("a",), ("b",), "c"),
    "of inner blocks after the outermost": (("a", ("b", ("c",), "d"), "e"), "f"),
    "of a block that fails, never": (("a", STOP), "b"),
    "of a block that the database makes fail, never": (("a", DUPLICATE), "b"),
    "of an inner block that fails, never": (("a", ("b", STOP), "c"), "d"),
    "of an inner block that the database makes fail, never": (("a", ("b", DUPLICATE), "c"), "d"),
    "of an inner block of one that fails, never": (("a", ("b",), STOP), "c"),
    "of an innermost block of an inner one that fails, never": (("a", ("b", ("c",), "d", STOP), ("e",), "f"), "g"),
    "of a block after one that fails": (("a", STOP), ("b",)),
    "an error leaves the block, and the rest does not run": (("a", "fails", "b"), "c"),
    "an error of an inner block's leaves the outermost": (("a", ("fails", "b"), "c"), ("d",)),
    "an error outside of blocks": ("a", "fails", "b"),
    "an error of a robust one is passed over": (("a", "fails, robust", ("fails, robust",), "b"), "fails, robust", "c"),
    "registered by one that runs, at once": (("registers", "a"), "b"),
    "registered in a block of one that runs, after it": (("begins", "a"), "b"),
    "registered by one that runs outside of blocks": ("registers", "begins", "a"),
}

for _name, _steps in STEPS.items():
    case(
        _name,
        lambda m, o, steps=_steps: _Ours(m).run(steps),
        theirs=lambda m, o, steps=_steps: _Theirs(m).run(steps),
        ordered=True,
        point=11,
    )


class _Stop(Exception):
    """An error of the program's, or of what runs after a commit."""


class _Ours:
    """The steps here. Nothing is around them, so what they leave is put back in the end."""

    def __init__(self, m: Any) -> None:
        self.tags = m.Tag.objects
        self.seen: list[Any] = []

    async def run(self, steps: tuple[Any, ...]) -> list[Any]:
        before = await self.uses()
        try:
            for step in steps:
                await self.caught(step)
            return [*self.seen, await self.uses()]
        finally:
            await self.tags.filter(name="red").update(uses=before)

    async def caught(self, step: Any) -> None:
        try:
            await (self.block(step) if isinstance(step, tuple) else self.step(step))
        except (_Stop, orm.IntegrityError) as error:
            self.seen.append("stopped" if isinstance(error, _Stop) else "refused")

    async def block(self, steps: tuple[Any, ...]) -> None:
        async with self.tags.database.transaction():
            await self.tags.filter(name="red").update(uses=orm.F("uses") + 1)
            for step in steps:
                await (self.caught(step) if isinstance(step, tuple) else self.step(step))

    async def step(self, step: str) -> None:
        if step == STOP:
            raise _Stop
        if step == DUPLICATE:
            await self.tags.filter(name="green").update(name="red")
            return
        name, _, robust = step.partition(", ")

        async def call() -> None:
            self.seen.append((name, await self.uses()))
            if name == "fails":
                raise _Stop
            if name == "registers":
                await self.step("z")
            if name == "begins":
                await self.block(("y",))
            self.seen.append(f"end of {name}")

        await self.tags.database.on_commit(call, robust=bool(robust))

    async def uses(self) -> int:
        uses: int = await self.tags.values_list("uses", flat=True).get(name="red")
        return uses


class _Theirs:
    """The same in Django."""

    def __init__(self, m: Any) -> None:
        self.tags = m.Tag.objects
        self.seen: list[Any] = []

    def run(self, steps: tuple[Any, ...]) -> list[Any]:
        before = self.uses()
        try:
            for step in steps:
                self.caught(step)
            return [*self.seen, self.uses()]
        finally:
            self.tags.filter(name="red").update(uses=before)

    def caught(self, step: Any) -> None:
        try:
            self.block(step) if isinstance(step, tuple) else self.step(step)
        except (_Stop, IntegrityError) as error:
            self.seen.append("stopped" if isinstance(error, _Stop) else "refused")

    def block(self, steps: tuple[Any, ...]) -> None:
        with transaction.atomic(using=self.tags.db):
            self.tags.filter(name="red").update(uses=F("uses") + 1)
            for step in steps:
                self.caught(step) if isinstance(step, tuple) else self.step(step)

    def step(self, step: str) -> None:
        if step == STOP:
            raise _Stop
        if step == DUPLICATE:
            self.tags.filter(name="green").update(name="red")
            return
        name, _, robust = step.partition(", ")

        def call() -> None:
            self.seen.append((name, self.uses()))
            if name == "fails":
                raise _Stop
            if name == "registers":
                self.step("z")
            if name == "begins":
                self.block(("y",))
            self.seen.append(f"end of {name}")

        transaction.on_commit(call, using=self.tags.db, robust=bool(robust))

    def uses(self) -> int:
        uses: int = self.tags.values_list("uses", flat=True).get(name="red")
        return uses
