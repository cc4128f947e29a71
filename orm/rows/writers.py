"""Row writers: code generated per shape that turns instances into the driver's rows.

Each value is checked, stamped and converted in one pass, with no call where it is plain already. What is not
(a value that typesystem must coerce or refuse, a field that this instance lacks) is left to ordinary code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from typesystem import ValidationError

from orm.database.storage import UnstorableValue
from orm.exceptions import QueryError
from orm.fields import NO_DEFAULT, Field
from orm.mapping.validators import fast_check
from orm.relations import ForeignKey
from orm.utils.codegen import generate, written

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

Process = Callable[[Any], Any]
Row = tuple[Any, ...]
Other = Callable[[Any], Row | None]
"""Makes the row of an instance that is not plain; None if it is of another shape."""
Writer = Callable[[Iterable["Model"], Other], list[Row | None]]


def inserted_fields(info: ModelInfo, instance: Model) -> tuple[Field[Any], ...]:
    """The fields that this instance's row is inserted with, as far as can be told before its values are validated."""
    own = instance.__dict__
    return tuple(field for field in info.fields.values() if _is_inserted(field, own))


def _is_inserted(field: Field[Any], own: dict[str, Any]) -> bool:
    if field.attname not in own:
        given = field.name in own or field.has_default()
        return given or not (field.read_only or field.server_default is not None)  # Or it is missing, and told of.
    return own[field.attname] is not None or field.has_default() or not _may_be_filled(field)


def _may_be_filled(field: Field[Any]) -> bool:
    """Whether None means that the database is to fill it in."""
    return field.read_only and not field.allow_null


def write_inserts(info: ModelInfo, fields: Sequence[Field[Any]], processors: Sequence[Process | None]) -> Writer:
    """A writer of the rows of new instances: of each the driver's values of `fields`.

    Validated values are put into the instances. Where an instance is not plain, its row is what `other` makes of it.
    """
    scope: dict[str, Any] = {"missing": NO_DEFAULT, "refused": (KeyError, ValidationError, UnstorableValue)}
    scope["composed"] = tuple(info.composed.values())
    read: list[str] = []
    sets_on_save: list[str] = []
    store: list[str] = []
    row: list[str] = []
    for i, (field, process) in enumerate(zip(fields, processors, strict=True)):
        key = field.attname
        if isinstance(field, ForeignKey):
            scope[f"adopt{i}"] = copy_saved_keys(field)
            read.append(f"v{i} = own[{key!r}] if {key!r} in own else adopt{i}(own)")
        else:
            read.append(f"v{i} = own[{key!r}]")
        scope[f"validate{i}"] = field.validator.validate
        asked = [f"v{i} = validate{i}(v{i})", "asked = True"]
        check = fast_check(field, f"v{i}", i, scope)
        read += asked if check is None else [f"if not ({check}):", *(f"    {line}" for line in asked)]
        if field.sets_on_save(creating=True):
            scope[f"stamp{i}"] = field.pre_save
            read += [f"stamp = stamp{i}(True)", f"if stamp is not missing: v{i} = stamp"]
            sets_on_save.append(f"own[{key!r}] = v{i}")
        store.append(f"own[{key!r}] = v{i}")
        row.append(f"{written(process, f'v{i}', f'bind{i}', scope)}, ")
    for field in info.fields.values():
        if field not in fields:
            absent = f"own.get({field.attname!r})" if _may_be_filled(field) else f"own.get({field.attname!r}, missing)"
            missing = "None" if _may_be_filled(field) else "missing"
            read.append(f"if {absent} is not {missing}: raise KeyError({field.attname!r})")
    lines = [
        "def write(instances, other):",
        "    rows = []",
        "    append = rows.append",
        "    asked = False",
        "    for instance in instances:",
        "        own = instance.__dict__",
        *(["        for relation in composed: relation.copy_saved_key(instance)"] if info.composed else []),
        "        try:",
        *(f"            {line}" for line in read),
        f"            row = ({''.join(row)})",
        "        except refused:",
        "            append(other(instance))",
        "            asked = False",
        "            continue",
        "        if asked:",
        *(f"            {line}" for line in store),
        "            asked = False",
        *(f"        {line}" for line in sets_on_save),
        "        append(row)",
        "    return rows",
    ]
    writer: Writer = generate("row writer", "\n".join(lines), scope)["write"]
    return writer


def copy_saved_keys(field: ForeignKey[Any]) -> Callable[[dict[str, Any]], Any]:
    """A function that takes the key of a related instance that was saved since it was set, in an instance's dict.

    It raises `KeyError` where no instance was set, `QueryError` where it still is not saved and would be lost.
    """
    target = field.target_field.attname

    def adopt(own: dict[str, Any]) -> Any:
        key = own[field.name].__dict__.get(target)
        if key is None:
            raise QueryError(f"{field.label} is a {field.target.__name__} that is not saved: save it before this one.")
        own[field.attname] = key
        return key

    return adopt
