"""The error for a name that a model does not have."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from orm.exceptions import FieldError
from orm.mapping.retired import retired_error

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

# The contexts of a name, in which a value is written.
WRITE_CONTEXTS = frozenset({"an argument", "a value to update", "one of update_fields", "a field of bulk_update()"})


def unknown_name_error(info: ModelInfo, name: str, what: str, extra: Iterable[str] = ()) -> FieldError:
    """The error for an unknown name that is used as `what`. It suggests a similar name and lists all names."""
    retired = info.retired_field(name)
    if retired is not None:
        return retired_error(retired, what)
    relation = info.accessors.get(name)
    if relation is not None and name not in info.fields and what in WRITE_CONTEXTS:
        return info.not_assigned(relation)
    choices = sorted({*info.settable, *info.relations, "pk", *extra})
    close = difflib.get_close_matches(name, [choice for choice in choices if choice != name], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    having = [child.name for child in info.descendants() if name in child.settable or name in child.relations]
    if having:
        hint = f" {having[0]}, which inherits from it, has one: start from {having[0]}.objects."
    return FieldError(f"{info.name} has no field {name!r}, given as {what}.{hint} Choices are: {', '.join(choices)}.")
