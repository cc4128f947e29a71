"""What is wrong with a file of Python that an application has: a revision, env.py, its models."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

BROKEN = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, SystemExit, SQLAlchemyError),
)
"""What Python in such a file may raise that is no error of the ORM's."""


def what(error: BaseException, folder: str | os.PathLike[str]) -> str:
    """An error in a line, with the last line of the folder's files that it came from.

    >>> what(error, "migrations")
    "NameError: name 'opp' is not defined (1c0a7d5e2f41_prices.py, line 16)"
    """
    text = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({Path(error.filename).name}, line {error.lineno})"
    root = Path(folder).absolute()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(root):
            return f"{text} ({Path(frame.filename).name}, line {frame.lineno})"
    return text
