"""The text of hstore: ``"a"=>"1", "b"=>NULL``. asyncpg sends and returns values of unknown types as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orm.exceptions import DataError

PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)(?:, |\Z)', re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def hstore_text(value: Mapping[str, str | None] | None) -> str | None:
    """A dict as the text of an hstore."""
    if value is None:
        return None
    return ", ".join(f"{_quoted(key)}=>{'NULL' if item is None else _quoted(item)}" for key, item in value.items())


def hstore_value(text: Any) -> dict[str, str | None] | None:
    """The dict of what the driver returned: the text of an hstore, or a dict, if the application has set a codec."""
    if text is None or isinstance(text, dict):
        return text
    items: dict[str, str | None] = {}
    position = 0
    while position < len(text):
        match = PAIR.match(text, position)
        if match is None:
            raise DataError("The column holds a text that is no hstore.")
        key, item = match.groups()
        items[_plain(key)] = None if item is None else _plain(item)
        position = match.end()
    return items


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain(text: str) -> str:
    return ESCAPED.sub(r"\1", text) if "\\" in text else text
