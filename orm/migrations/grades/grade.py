"""A grade, from A to D, with its reasons."""

from __future__ import annotations

from dataclasses import dataclass

LETTERS = "ABCD"

#: A table with at most this many rows is small: a scan or a copy of it takes no time that anybody notices.
SMALL = 10_000


@dataclass(frozen=True)
class Effect:
    """What one kind of operation does on one server.

    Attributes:
        letter: A: online. B: online, with work in the background, or one scan. C: blocks, or needs two deployments. D:
            loses data.
        lock: the lock by the server's own name; of MySQL and MariaDB the ALGORITHM and LOCK that they accept.
        blocks: who waits, and for how long.
        rewrites: whether the whole table is written again.
    """

    letter: str
    lock: str
    blocks: str
    rewrites: bool = False


@dataclass(frozen=True)
class Grade:
    """The grade of an operation, for the server, its version and the table that it will meet.

    Attributes:
        letter: "A" to "D".
        rule: the kind of operation, as the page on migrations names it.
        lock: the lock by the server's own name.
        blocks: who waits, and for how long.
        rewrites: whether the whole table is written again.
        rows: how many rows the table has, by the server's statistics; None if they are not known.
        loses: what is lost; empty if nothing is.
        undo: whether it can be undone.
        safer: the safer sequence; empty if there is none, or none is needed.
    """

    letter: str
    rule: str
    lock: str
    blocks: str
    rewrites: bool = False
    rows: int | None = None
    loses: str = ""
    undo: str = "yes"
    safer: str = ""

    def __str__(self) -> str:
        return self.letter

    def is_worse_than(self, letter: str) -> bool:
        """Whether the grade comes after this one.

        >>> grade.is_worse_than("B")
        True
        """
        return LETTERS.index(self.letter) > LETTERS.index(letter)
