"""Django's field classes: each makes the field of `orm` that corresponds to it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy

import orm
from tests.django_suite.shim.database import Run
from tests.django_suite.shim.placeholders import Dropped, MissingFeature, calling_app, is_missing
from tests.django_suite.shim.validation import with_django_errors

IGNORED = frozenset(
    [
        "allow_unicode",
        "auto_created",
        "blank",
        "comment",
        "db_collation",
        "db_comment",
        "db_constraint",
        "db_tablespace",
        "decoder",
        "editable",
        "encoder",
        "encoding",
        "error_messages",
        "help_text",
        "limit_choices_to",
        "match",
        "obj_type",
        "path",
        "allow_files",
        "allow_folders",
        "protocol",
        "recursive",
        "serialize",
        "storage",
        "swappable",
        "unique_for_date",
        "unique_for_month",
        "unique_for_year",
        "unpack_ipv4",
        "upload_to",
        "verbose_name",
        "width_field",
        "height_field",
    ]
)
"""Options of forms, of the admin and of files, which no query depends on."""
RENAMED = {"null": "allow_null", "db_column": "column", "db_index": "index"}
ON_DELETE = {
    "CASCADE": orm.CASCADE,
    "PROTECT": orm.RESTRICT,
    "RESTRICT": orm.RESTRICT,
    "SET_NULL": orm.SET_NULL,
    "SET_DEFAULT": orm.SET_DEFAULT,
    "DO_NOTHING": orm.NO_ACTION,
}

STRICT_APPS = frozenset(["validation"])
"""The apps whose tests are about validation: their fields have the options that only Django's `full_clean()` reads."""
STRICT_FIELDS: dict[str, Any] = {"EmailField": orm.Email, "SlugField": orm.Slug, "URLField": orm.URL}

substitutions: list[str] = []
"""What of Django's models was declared otherwise or left out, for the report of a run."""


def options_of(options: dict[str, Any]) -> dict[str, Any]:
    """Django's options of a field as those of `orm`. Raises `MissingFeature` for one that has no counterpart."""
    converted: dict[str, Any] = {}
    for name, value in options.items():
        if name in IGNORED:
            continue
        if name == "choices":
            converted.update(_choices(value))
        elif name == "db_default":
            if isinstance(value, (list, tuple)):
                raise MissingFeature("db_default of a list or a pair")
            if not isinstance(value, (bool, int, float, str)):
                converted["server_default"] = value if isinstance(value, orm.Expression) else orm.Value(value)
            elif isinstance(value, bool):
                converted["server_default"] = sqlalchemy.true() if value else sqlalchemy.false()
            else:
                converted["server_default"] = str(value)
        else:
            converted[RENAMED.get(name, name)] = value
    if converted.get("primary_key"):
        converted.pop("allow_null", None)
    return converted


def generated_field(expression: Any, output_field: Any, db_persist: bool = True, **options: Any) -> Any:
    """Django's `GeneratedField`. A virtual one is stored where the database has none, and its tests are skipped."""
    if isinstance(output_field, Dropped):
        return output_field
    if options.get("default") is None and output_field.default is None:
        output_field = output_field.without_default()
    is_stored = db_persist or not Run.features.get("supports_virtual_generated_columns", True)
    try:
        field = orm.Generated(expression, output_field, stored=is_stored)
    except orm.FieldError as error:
        return Dropped(f"GeneratedField: {error}")
    field.allow_null = True
    return field


def _choices(choices: Any) -> dict[str, Any]:
    """The option of a field's choices. Where Django's are empty or may change later, any value is allowed."""
    if not callable(choices) and not isinstance(choices, Mapping):
        choices = list(choices)
    return {"choices": choices} if choices else {}


class _FieldClass(type):
    """The type of Django's field classes: calling one makes a field of `orm`, or a `Dropped` where there is none."""

    orm_field: Any
    make: Callable[..., Any]

    def __call__(cls, *args: Any, **options: Any) -> Any:
        name = options.pop("name", None)
        try:
            field = cls.make(*args, **options)
            field.django_blank = bool(options.get("blank"))
            field.get_internal_type = lambda: cls.__name__
            field.django_name = name  # which Django prefers to that of the attribute
            return field
        except MissingFeature as error:
            return Dropped(str(error))
        except (orm.FieldError, KeyError) as error:
            if "choices" in options:  # Django does not check them, and they may be of another type than the values
                return cls(*args, **{**options, "name": name, "choices": ()})
            return Dropped(f"{cls.__name__}: {error}")

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.orm_field)


class _FieldBase(metaclass=_FieldClass):
    class_lookups: dict[str, Any] = {}
    description = ""
    orm_field: Any = orm.Field

    def __init_subclass__(cls, **options: Any) -> None:
        if cls.__module__ != __name__:
            substitutions.append(f"{cls.__module__}.{cls.__name__}: the field that it inherits from")

    @staticmethod
    def register_lookup(lookup: Any, *args: Any, **options: Any) -> Any:
        return lookup


def field_class(name: str, orm_field: Any, make: Callable[..., Any]) -> Any:
    """A field class of Django's, which makes the fields of `orm` by a function."""
    return _FieldClass(
        name, (_FieldBase,), {"__module__": __name__, "orm_field": orm_field, "make": staticmethod(make)}
    )


def plain_field(
    name: str,
    orm_field: Any,
    *,
    positions: tuple[str, ...] = ("verbose_name",),
    defaults: dict[str, Any] | None = None,
    ignored: tuple[str, ...] = (),
) -> Any:
    """A field class whose options are those of Django, by the names of `orm`."""
    text = orm_field in (orm.String, orm.Text)

    def convert(options: dict[str, Any]) -> dict[str, Any]:
        converted = options_of({key: value for key, value in options.items() if key not in (*ignored, "validators")})
        if text:  # Django neither trims text nor refuses the empty one.
            converted.setdefault("trim_whitespace", False)
            if not converted.get("primary_key"):
                converted["allow_blank"] = True
            if converted.get("allow_null"):
                converted.setdefault("default", None)
        elif converted.get("default", 0) is None and not converted.get("allow_null"):
            del converted["default"]
        return converted

    def make_field(cls: Any, options: dict[str, Any]) -> Any:
        try:
            return cls(**options)
        except TypeError as error:
            raise MissingFeature(f"{name}: {error}") from error

    def strict(options: dict[str, Any]) -> Any:
        """The field that refuses what Django's `full_clean()` refuses, and its `save()` does not."""
        converted = convert(options)
        is_blank = bool(options.get("blank"))
        if text:
            converted["allow_blank"] = is_blank and "" not in dict(converted.get("choices", ()))
        converted["validators"] = with_django_errors(options.get("validators", ()))
        return make_field(STRICT_FIELDS.get(name, orm_field), converted)

    def make(*args: Any, **options: Any) -> Any:
        options = {**(defaults or {}), **dict(zip(positions, args, strict=False)), **options}
        field = strict(options) if calling_app() in STRICT_APPS else make_field(orm_field, convert(options))
        field.strict_field = functools.partial(strict, options)
        field.without_default = lambda: make_field(
            orm_field, {key: value for key, value in convert(options).items() if key != "default"}
        )
        return field

    return field_class(name, orm_field, make)


def _date_time(*args: Any, **options: Any) -> Any:
    return orm.DateTime(timezone=Zones.aware, **options_of(options))


class Zones:
    """Whether the datetimes of the models are aware, as Django's setting `USE_TZ` decides."""

    aware = False


def related_model(to: Any) -> Any:
    """A relation's target, by the class name alone."""
    if is_missing(to):
        raise MissingFeature(f"a relation to {to}")
    return to.rpartition(".")[2] if isinstance(to, str) else to


def _with_app(name: str | None) -> str | None:
    """A name of a reverse relation, with the name of the app that Django puts into it: the module that declares it."""
    if name is None or "%(app_label)s" not in name:
        return name
    return name.replace("%(app_label)s", calling_app())


def _foreign_key(orm_field: Any) -> Callable[..., Any]:
    def make(
        to: Any,
        on_delete: Any = "CASCADE",
        related_name: str | None = None,
        related_query_name: str | None = None,
        to_field: str | None = None,
        parent_link: bool = False,
        db_constraint: bool = True,
        **options: Any,
    ) -> Any:
        if on_delete not in ON_DELETE:
            raise MissingFeature("on_delete=SET(…)")
        if not db_constraint:
            raise MissingFeature("db_constraint=False")
        if parent_link:
            options["parent_link"] = True
        options.pop("db_index", None)
        return orm_field(
            related_model(to),
            on_delete=ON_DELETE[on_delete],
            related_name=_with_app(related_name),
            related_query_name=_with_app(related_query_name),
            to_field=to_field,
            **options_of(options),
        )

    return make


def _many_to_many(
    to: Any,
    related_name: str | None = None,
    related_query_name: str | None = None,
    symmetrical: bool | None = None,
    through: Any = None,
    through_fields: Any = None,
    db_constraint: bool = True,
    db_table: str | None = None,
    **ignored: Any,
) -> Any:
    if not db_constraint:
        raise MissingFeature("db_constraint=False")
    return orm.ManyToMany(
        related_model(to),
        related_name=related_name,
        related_query_name=related_query_name,
        symmetrical=symmetrical,
        through=related_model(through) if through else None,
        through_fields=tuple(through_fields) if through_fields else None,
        tablename=db_table,
    )


class CompositePrimaryKey:
    """Marks the fields of a composite primary key, which the model's metaclass then declares as such."""

    def __init__(self, *names: str, **ignored: Any) -> None:
        self.names = names


class ForeignObject:
    """A relation over several columns, which the model's metaclass turns into a `CompositeForeignKey`."""

    def __init__(
        self,
        to: Any,
        on_delete: Any = "CASCADE",
        from_fields: Any = (),
        to_fields: Any = (),
        related_name: str | None = None,
        null: bool = False,
        **ignored: Any,
    ) -> None:
        self.to, self.on_delete = related_model(to), ON_DELETE[on_delete]
        self.from_fields, self.related_name, self.null = from_fields, related_name, null


FIELDS: dict[str, Any] = {
    **{
        name: plain_field(name, orm.String, defaults={"max_length": length})
        for name, length in {
            "CharField": 255,
            "SlugField": 50,
            "EmailField": 254,
            "URLField": 200,
            "CommaSeparatedIntegerField": 100,
            "FilePathField": 100,
            "FileField": 100,
            "ImageField": 100,
        }.items()
    },
    "TextField": plain_field("TextField", orm.Text),
    "IntegerField": plain_field("IntegerField", orm.Integer),
    "SmallIntegerField": plain_field("SmallIntegerField", orm.SmallInteger),
    "BigIntegerField": plain_field("BigIntegerField", orm.BigInteger),
    "PositiveIntegerField": plain_field("PositiveIntegerField", orm.PositiveInteger),
    "PositiveSmallIntegerField": plain_field("PositiveSmallIntegerField", orm.PositiveSmallInteger),
    "PositiveBigIntegerField": plain_field("PositiveBigIntegerField", orm.PositiveBigInteger),
    "AutoField": plain_field("AutoField", orm.Integer),
    "BigAutoField": plain_field("BigAutoField", orm.BigInteger),
    "SmallAutoField": plain_field("SmallAutoField", orm.SmallInteger),
    "BooleanField": plain_field("BooleanField", orm.Boolean),
    "FloatField": plain_field("FloatField", orm.Float),
    "DecimalField": plain_field(
        "DecimalField",
        orm.Decimal,
        positions=("verbose_name", "name", "max_digits", "decimal_places"),
        defaults={"max_digits": 15, "decimal_places": 6},
    ),
    "DateField": plain_field("DateField", orm.Date),
    "TimeField": plain_field("TimeField", orm.Time, ignored=("auto_now", "auto_now_add")),
    "DateTimeField": field_class("DateTimeField", orm.DateTime, _date_time),
    "DurationField": plain_field("DurationField", orm.Duration),
    "UUIDField": plain_field("UUIDField", orm.UUID),
    "JSONField": plain_field("JSONField", orm.JSON),
    "BinaryField": plain_field("BinaryField", orm.Binary),
    "GenericIPAddressField": plain_field("GenericIPAddressField", orm.IPAddress),
    "IPAddressField": plain_field("IPAddressField", orm.IPAddress),
    "ForeignKey": field_class("ForeignKey", orm.ForeignKey, _foreign_key(orm.ForeignKey)),
    "OneToOneField": field_class("OneToOneField", orm.OneToOne, _foreign_key(orm.OneToOne)),
    "ManyToManyField": field_class("ManyToManyField", orm.ManyToMany, _many_to_many),
    "Field": field_class("Field", orm.Field, lambda *args, **options: Dropped("Field of one's own")),
}
