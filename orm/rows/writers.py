"""Row writers: code generated per plan that turns instances into the driver's rows.

Each value is validated, stamped and converted in one pass, and nothing is called for a value that is right as it is.
What is not (a value that typesystem must coerce or reject, an instance without one of the fields) is left to ordinary
code.
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
from orm.utils.articles import with_article
from orm.utils.codegen import conversion_source, generate

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

Process = Callable[[Any], Any]
Row = tuple[Any, ...]
WriteOther = Callable[[Any], Row | None]
"""Makes the row of an instance that the generated code cannot write; None if the instance has other fields."""
Writer = Callable[[Iterable["Model"], WriteOther], list[Row | None]]


def inserted_fields(info: ModelInfo, instance: Model) -> tuple[Field[Any], ...]:
    """The fields that the instance's row is inserted with, as far as is known before its values are validated."""
    attributes = instance.__dict__
    return tuple(field for field in info.fields.values() if _is_inserted(field, attributes))


def _is_inserted(field: Field[Any], attributes: dict[str, Any]) -> bool:
    if field.is_generated:
        return False
    if field.attname not in attributes:
        has_value = field.name in attributes or field.has_default()
        # A value that is simply missing counts as inserted: validation then reports it.
        return has_value or not (field.read_only or field.server_default is not None)
    return attributes[field.attname] is not None or field.has_default() or not _none_means_generated(field)


def _none_means_generated(field: Field[Any]) -> bool:
    """Whether the database fills in the field of an instance that has None."""
    return field.read_only and not field.allow_null


def write_inserts(info: ModelInfo, fields: Sequence[Field[Any]], processors: Sequence[Process | None]) -> Writer:
    """A writer of new instances' rows: the driver's values of `fields` of each.

    It assigns the validated values to the instances. The rows of instances that it cannot write come from
    `write_other`.
    """
    scope: dict[str, Any] = {"MISSING": NO_DEFAULT, "rejections": (KeyError, ValidationError, UnstorableValue)}
    scope["composed"] = tuple(info.composed.values())
    read: list[str] = []
    assign_stamps: list[str] = []
    assign: list[str] = []
    row: list[str] = []
    for i, (field, process) in enumerate(zip(fields, processors, strict=True)):
        key, value = field.attname, f"value_{i}"
        if isinstance(field, ForeignKey):
            scope[f"copy_saved_key_{i}"] = copy_saved_keys(field)
            read.append(f"{value} = attributes[{key!r}] if {key!r} in attributes else copy_saved_key_{i}(attributes)")
        else:
            read.append(f"{value} = attributes[{key!r}]")
        scope[f"validate_{i}"] = field.validator.validate
        validate = [f"{value} = validate_{i}({value})", "was_validated = True"]
        check = fast_check(field, value, i, scope)
        read += validate if check is None else [f"if not ({check}):", *(f"    {line}" for line in validate)]
        if field.sets_on_save(creating=True):
            scope[f"pre_save_{i}"] = field.pre_save
            read += [f"stamp = pre_save_{i}(True)", f"if stamp is not MISSING: {value} = stamp"]
            assign_stamps.append(f"attributes[{key!r}] = {value}")
        assign.append(f"attributes[{key!r}] = {value}")
        row.append(f"{conversion_source(process, value, value, scope)},")
    for field in info.fields.values():
        if field not in fields and not field.is_generated:
            # The instance has a value after all, so its row has other fields.
            if _none_means_generated(field):
                read.append(f"if attributes.get({field.attname!r}) is not None: raise KeyError({field.attname!r})")
            else:
                present = f"attributes.get({field.attname!r}, MISSING) is not MISSING"
                read.append(f"if {present}: raise KeyError({field.attname!r})")
    lines = [
        "def write(instances, write_other):",
        "    rows = []",
        "    append = rows.append",
        "    was_validated = False",
        "    for instance in instances:",
        "        attributes = instance.__dict__",
        "        try:",
        *(["            for relation in composed: relation.copy_saved_key(instance)"] if info.composed else []),
        *(f"            {line}" for line in read),
        "            row = (",
        *(f"                {item}" for item in row),
        "            )",
        "        except rejections:",
        "            append(write_other(instance))",
        "            was_validated = False",
        "            continue",
        "        if was_validated:",
        *(f"            {line}" for line in assign),
        "            was_validated = False",
        *(f"        {line}" for line in assign_stamps),
        "        append(row)",
        "    return rows",
    ]
    writer: Writer = generate(f"row writer of {info.name}", "\n".join(lines), scope)["write"]
    return writer


def copy_saved_keys(field: ForeignKey[Any]) -> Callable[[dict[str, Any]], Any]:
    """A function that copies the key of the related instance, if that was saved after it was assigned.

    It takes the attributes of the instance with the foreign key, and returns the key. It raises `KeyError` if no
    related instance was assigned, `QueryError` if that instance is not saved.
    """
    target = field.target_field.attname

    def copy_saved_key(attributes: dict[str, Any]) -> Any:
        key = attributes[field.name].__dict__.get(target)
        if key is None:
            raise QueryError(
                f"{field.label} is {with_article(field.target.__name__)} that is not saved: save it before this one."
            )
        attributes[field.attname] = key
        return key

    return copy_saved_key
