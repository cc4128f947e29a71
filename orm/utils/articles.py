"""The articles of class names, for messages: "an Album", "a Note"."""

from __future__ import annotations

import re

AN = re.compile(
    r"(?!Eu|One)[AEIOaeio]"
    r"|[Uu](?!$|s|t|ni|r[il]|u|[A-Z])"  # "an Upload", but "a User", "a Unit" and "a URL"
    r"|[FHLMNRSX][A-Z]"  # spelled by its letters: "an HStore", "an XMLFile"
)


def with_article(name: str) -> str:
    """The name after "a" or "an", by how it is likely to be spoken."""
    return f"{'an' if AN.match(name) else 'a'} {name}"
