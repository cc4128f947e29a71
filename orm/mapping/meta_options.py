"""`MetaOptions`: the options of a model's ``class Meta``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orm.database.connections.replicas import CONSISTENCIES
from orm.database.dialect_registry import registrations
from orm.exceptions import FieldError

META_OPTIONS = (
    *("tablename", "ordering", "abstract", "indexes", "constraints", "schema", "get_latest_by", "consistency"),
    *("comment", "table_options", "managed", "view", "materialized", "proxy", "track_changes"),
    *("discriminator", "discriminator_value"),
)

UNSET: Any = object()


@dataclass(frozen=True)
class MetaOptions:
    """The options of a model's ``class Meta``, or of an older spelling of it."""

    tablename: str
    ordering: tuple[Any, ...] = ()
    abstract: bool = False
    indexes: tuple[Any, ...] = ()
    constraints: tuple[Any, ...] = ()
    schema: str | None = None
    get_latest_by: tuple[str, ...] = ()
    consistency: str | None = None
    """What reads of the model must see if they run on replicas; None for the database's `consistency`."""
    comment: str | None = None
    table_options: tuple[tuple[str, Any], ...] = ()
    """SQLAlchemy's options of the table, ``<dialect>_<option>``, with their values."""
    managed: bool = True
    """Whether `create_all()`, `drop_all()` and migrations make and drop the table."""
    view: Any = None
    """The queryset or the SQL of which the table is a view."""
    materialized: bool = False
    track_changes: bool = False
    """Whether instances know which of their fields were changed since they were read."""
    discriminator: str | None = None
    """The field that tells the model of a row, if models that inherit from this one share its table."""
    discriminator_value: Any = UNSET
    """Its value in the rows of this model."""
    proxy: bool = False
    """Whether the model is a proxy, which has the table of the model that it inherits from."""


def _tracks_changes(base: type) -> bool:
    """Whether a base class has `track_changes`, which models inherit even if they have a class Meta."""
    info = getattr(base, "_meta", None)
    return info is not None and bool(info.options.track_changes)


def read_meta(name: str, namespace: Mapping[str, Any], bases: tuple[type, ...]) -> MetaOptions:
    """Read the options of the model `name`.

    As in Django, the Meta of an abstract model is inherited, and the ordering of any other.

    Raises `FieldError` for an unknown option.
    """
    class_meta = namespace.get("Meta")
    meta = class_meta or _inherited_meta(bases)
    options = {key: getattr(meta, key) for key in dir(meta) if key[0] != "_"} if meta else {}
    for key in options:
        if key not in META_OPTIONS:
            raise FieldError(f"{name}.Meta.{key} is not an option. The options are {', '.join(META_OPTIONS)}.")
    _inherit_ordering(options, bases)
    _leave_to_tables(options, bases)
    if isinstance(options.get("ordering"), str):
        raise FieldError(f"{name}.Meta.ordering must be a list, such as [{options['ordering']!r}].")
    if options.get("consistency", "session") not in CONSISTENCIES:
        raise FieldError(
            f"{name}.Meta.consistency is one of {', '.join(CONSISTENCIES)}, not {options['consistency']!r}."
        )
    not_inherited = vars(class_meta) if class_meta else {}
    of_table = dict(options.get("table_options", {}))
    for option in of_table:
        if "_" not in option or option.partition("_")[0] not in registrations:
            raise FieldError(
                f"{name}.Meta.table_options: {option!r} begins with none of the databases {', '.join(registrations)}, "
                "as mysql_engine does."
            )
    if options.get("materialized") and options.get("view") is None:
        raise FieldError(f"{name}.Meta.materialized is an option of a view: give view= a queryset or SQL.")
    latest = options.get("get_latest_by", ())
    tablename = (
        not_inherited.get("tablename") or namespace.get("tablename") or namespace.get("__tablename__") or name.lower()
    )
    return MetaOptions(
        tablename=tablename,
        abstract=not_inherited.get("abstract", False),
        schema=options.get("schema"),
        consistency=options.get("consistency"),
        comment=options.get("comment"),
        table_options=tuple(of_table.items()),
        managed=not_inherited.get("managed", True),
        view=not_inherited.get("view"),
        materialized=not_inherited.get("materialized", False),
        track_changes=bool(options.get("track_changes", any(map(_tracks_changes, bases)))),
        discriminator=_discriminator(name, options.get("discriminator")),
        discriminator_value=not_inherited.get("discriminator_value", UNSET),
        proxy=not_inherited.get("proxy", False),
        get_latest_by=(latest,) if isinstance(latest, str) else tuple(latest),
        **{key: tuple(options.get(key, ())) for key in ("ordering", "indexes", "constraints")},
    )


def _inherited_meta(bases: Iterable[type]) -> Any:
    """The `class Meta` that a model without one inherits: that of an abstract model, or of a class that is no model."""
    for base in bases:
        for each in base.__mro__:
            info = vars(each).get("_meta")
            if "Meta" in vars(each) and (info is None or info.abstract):
                return vars(each)["Meta"]
    return None


def _inherit_ordering(options: dict[str, Any], bases: Iterable[type]) -> None:
    """Add the `ordering` and `get_latest_by` of the model with rows that is inherited from."""
    info = next(filter(None, (getattr(base, "_meta", None) for base in bases)), None)
    if info is not None and not info.abstract:
        for option in ("ordering", "get_latest_by"):
            options.setdefault(option, getattr(info.options, option))


def _leave_to_tables(options: dict[str, Any], bases: Iterable[type]) -> None:
    """Remove what ``class Meta(Base.Meta)`` repeats of a model with rows: its table has these already."""
    for base in bases:
        info = getattr(base, "_meta", None)
        if info is not None and not info.abstract:
            for option in ("indexes", "constraints"):
                if option in options and options[option] is getattr(getattr(base, "Meta", None), option, None):
                    del options[option]


def _discriminator(name: str, field: Any) -> str | None:
    if field is not None and not isinstance(field, str):
        raise FieldError(f"{name}.Meta.discriminator is the name of a field, got {type(field).__name__}.")
    return field
