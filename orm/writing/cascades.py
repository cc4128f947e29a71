"""Whether a database refuses a DELETE because of rows that the same DELETE is about to delete.

Most refusals do not depend on it: a row that stays keeps what it points at. But RESTRICT, and on some databases
NO ACTION, keeps a row for one that goes as well, unless that one has gone before. So the cascade is gone through here
in the database's own order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orm.database.dialect import DeleteRules
from orm.relations import CASCADE, ForwardRelation

Row = Hashable
"""What stands for a row: its model and primary key."""


@dataclass(eq=False)
class ForeignKeyEffect:
    """A relation as the rows that it leads to have it: which rows go, or stand in the way, when one of those goes."""

    relation: ForwardRelation
    checks: bool
    """Whether it refuses."""
    default: Row | None = None
    """The row, of those that go, that SET DEFAULT makes a row point at."""
    lost: bool = False
    """Whether SET DEFAULT makes a row point at one that is not there."""
    pointing: dict[Row, list[Row]] = field(default_factory=dict)
    """For a row those that point at it, in the order of their keys."""

    @property
    def cascades(self) -> bool:
        """Whether it deletes."""
        return self.relation.on_delete == CASCADE


@dataclass(frozen=True)
class Refusal:
    """The rows that the database would stop at."""

    relation: ForwardRelation
    rows: int


def first_refusal(
    rules: DeleteRules, first: Sequence[Row], pulls: Mapping[Row, Sequence[ForeignKeyEffect]]
) -> tuple[Refusal | None, list[Row]]:
    """What the database would stop at when it deletes the `first` rows, if it would; and the rows at the deepest level.

    `pulls` are those of each row, in the database's order.
    """
    if not rules.row_by_row:
        return _level_by_level(first, pulls), []
    gone: set[Row] = set()
    begun: set[Row] = set()
    lowest: list[Row] = []

    def visit(row: Row, depth: int) -> Iterator[Row | Refusal]:
        """The rows to delete with this one, or what stands in the way."""
        begun.add(row)
        if not rules.self_reference_blocks:
            gone.add(row)
        if rules.max_cascade_depth is not None and depth > rules.max_cascade_depth:
            lowest.append(row)
        for pull in pulls[row]:
            pointing = pull.pointing.get(row, ())
            if pull.cascades:
                for other in pointing:
                    if other not in begun:
                        if rules.max_cascade_depth is not None and depth > rules.max_cascade_depth:
                            yield Refusal(pull.relation, len(pointing))
                        yield other
            elif pull.checks:
                left = sum(other not in gone for other in pointing)
                if left:
                    yield Refusal(pull.relation, left)
        gone.add(row)

    for start in first:
        walk = [visit(start, 0)] if start not in begun else []
        while walk:
            found = next(walk[-1], None)
            if isinstance(found, Refusal):
                return found, lowest
            if found is None:
                walk.pop()
            else:
                walk.append(visit(found, len(walk)))
    return None, lowest


def _level_by_level(first: Sequence[Row], pulls: Mapping[Row, Sequence[ForeignKeyEffect]]) -> Refusal | None:
    gone = set(first)
    pointing = {pull: dict(pull.pointing) for every in pulls.values() for pull in every}
    # What is to be looked at: a row that goes, or (the last one says so) one that was set to its default.
    todo = deque((row, pull, False) for row in first for pull in pulls[row])
    while todo:
        row, pull, was_set = todo.popleft()
        if was_set:
            if row not in gone and (pull.lost or pull.default in gone):
                return Refusal(pull.relation, 1)
            continue
        left = [other for other in pointing[pull].pop(row, ()) if other not in gone]
        if pull.cascades:
            gone.update(left)
            todo.extend((other, onward, False) for other in left for onward in pulls[other])
        elif left and (pull.checks or pull.default == row):
            return Refusal(pull.relation, len(left))
        elif left and (pull.lost or pull.default is not None):
            todo.extend((other, pull, True) for other in left)
            if pull.default is not None:
                pointing[pull][pull.default] = [*pointing[pull].get(pull.default, ()), *left]
    return None
