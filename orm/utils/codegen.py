"""Where generated code becomes functions: row readers, writers, validators and constructors all go through `generate`.

To see the code, set ``ORM_SHOW_CODE=1`` in the environment (or the logger ``orm.code`` to DEBUG). It is printed with
the file name and the line numbers that tracebacks have.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

logger = logging.getLogger("orm.code")

if os.environ.get("ORM_SHOW_CODE"):
    logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler(sys.stderr))


def generate(what: str, source: str, scope: dict[str, Any]) -> dict[str, Any]:
    """Run `source` in `scope`, which then has its functions. `what` names the code in tracebacks and in the log."""
    file_name = f"<generated {what}>"
    if logger.isEnabledFor(logging.DEBUG):
        lines = "\n".join(f"{number:>4}  {line}" for number, line in enumerate(source.splitlines(), start=1))
        logger.debug("%s\n%s\n", file_name, lines)
    scope["__source__"] = source
    exec(compile(source, file_name, "exec"), scope)
    return scope


class Inline:
    """A conversion of values that generated code inlines instead of calling a function.

    `source` is an expression in which ``{v}`` is the value, a variable; the other names in braces are those of
    `names`. It handles None.

    >>> halved = Inline("None if {v} is None else {half} * {v}", half=0.5)
    >>> halved(3)
    1.5
    """

    __slots__ = ("_call", "names", "source")

    def __init__(self, source: str, **names: Any) -> None:
        self.source = source
        self.names = names
        self._call: Any = None

    @property
    def call(self) -> Any:
        """The conversion as a function."""
        if self._call is None:
            code = self.source.format(v="v", **{name: name for name in self.names})
            self._call = eval(f"lambda v: {code}", dict(self.names))
        return self._call

    def __call__(self, value: Any) -> Any:
        return self.call(value)

    def write(self, value: str, suffix: object, scope: dict[str, Any]) -> str:
        """The expression for a variable. Adds what it refers to to `scope`, under names that end with `suffix`."""
        scope_names = {name: f"{name}_{suffix}" for name in self.names}
        scope.update((scope_names[name], referent) for name, referent in self.names.items())
        return self.source.format(v=value, **scope_names)


def conversion_source(process: Any, value: str, suffix: object, scope: dict[str, Any]) -> str:
    """The source of an expression that converts a variable with `process` (None: the variable itself)."""
    if process is None:
        return value
    if isinstance(process, Inline):
        return process.write(value, suffix, scope)
    scope[f"process_{suffix}"] = process
    return f"process_{suffix}({value})"


def function_of(process: Any) -> Any:
    """The conversion as a plain function, which an `Inline` wraps."""
    return process.call if isinstance(process, Inline) else process


def list_converter(process: Any) -> Any:
    """A function that converts each value of a list with `process` (None: not at all) and returns a new list."""
    if process is None:
        return list
    scope: dict[str, Any] = {}
    source = f"def convert(values):\n    return [{conversion_source(process, 'v', 0, scope)} for v in values]"
    return generate("conversion of a list", source, scope)["convert"]
