"""Django's constraints: their options by Django's names, and `validate()` of a single one."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orm
from orm.mapping.constraints import BoundConstraint, TableConstraint
from orm.writing.constraint_checks import messages_of_table
from orm.writing.instances import copy_related_keys, database_of
from tests.django_suite.shim.bridge import run
from tests.django_suite.shim.placeholders import DjangoInternal, MissingFeature, calling_app


class Deferrable(enum.Enum):
    """Django's `Deferrable`."""

    DEFERRED = "deferred"
    IMMEDIATE = "immediate"


class DjangoConstraint(TableConstraint):
    """What Django's constraints have in common."""

    conditional = False

    def validate(self, model: Any, instance: Any, exclude: Any = None, using: Any = None) -> None:
        """Raise `orm.ValidationError` if the values of the instance violate the constraint."""
        copy_related_keys(instance)
        with _bound(self, model) as bound:
            messages = run(
                messages_of_table(bound[0], instance, database_of(instance), _fields(bound[0], exclude), [bound[1]])
            )
        if messages:
            raise orm.ValidationError(messages=messages)


@contextmanager
def _bound(constraint: Any, model: Any) -> Iterator[tuple[Any, BoundConstraint]]:
    """The constraint as one of the model's table, for as long as it is asked about."""
    info = model._meta.relation_owner
    for each in info.constraints:
        if each.declared is constraint:
            yield info, each
            return
    table = info.require_table()
    bound = constraint.attach(info, table)
    try:
        yield info, bound
    finally:
        table.indexes.discard(bound.item)
        table.constraints.discard(bound.item)


def _fields(info: Any, exclude: Any) -> set[str]:
    """The names of fields to leave out, of which one may be Django's `pk`."""
    names = set(exclude or ())
    return names - {"pk"} | ({field.name for field in info.pk_fields} if "pk" in names else set())


def _options(name: str | None, violation_error_message: str | None, violation_error_code: str | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if name is not None:
        options["name"] = name.replace("%(app_label)s", calling_app()) if "%(app_label)s" in name else name
    if violation_error_message is not None:
        options["message"] = violation_error_message.replace("%(name)s", str(name))
    if violation_error_code is not None:
        options["code"] = violation_error_code
    return options


class CheckConstraint(DjangoConstraint, orm.CheckConstraint):
    """Django's `CheckConstraint`."""

    def __init__(
        self,
        *,
        name: str,
        condition: Any = None,
        check: Any = None,
        violation_error_message: str | None = None,
        violation_error_code: str | None = None,
    ) -> None:
        if check is not None:
            raise DjangoInternal("CheckConstraint(check=…), which Django has deprecated")
        options = _options(name, violation_error_message, violation_error_code)
        orm.CheckConstraint.__init__(self, condition, **options)


class UniqueConstraint(DjangoConstraint, orm.UniqueConstraint):
    """Django's `UniqueConstraint`."""

    def __init__(
        self,
        *expressions: Any,
        fields: Any = (),
        name: str | None = None,
        condition: Any = None,
        deferrable: Any = None,
        include: Any = None,
        opclasses: Any = (),
        nulls_distinct: Any = None,
        violation_error_message: str | None = None,
        violation_error_code: str | None = None,
    ) -> None:
        if expressions and fields:
            raise ValueError("UniqueConstraint takes fields= or expressions, not both.")
        for value, kinds in ((deferrable, Deferrable), (include, (list, tuple)), (nulls_distinct, bool)):
            if value is not None and not isinstance(value, kinds):
                raise TypeError(f"UniqueConstraint takes no {value!r}.")
        if not isinstance(opclasses, (list, tuple)) or not name:
            raise TypeError("UniqueConstraint has a name, and a list of opclasses.")
        orm.UniqueConstraint.__init__(
            self,
            *(expressions or fields),
            condition=condition,
            deferrable=None if deferrable is None else deferrable.value,
            include=include or (),
            opclasses=opclasses,
            nulls_distinct=nulls_distinct,
            **_options(name, violation_error_message, violation_error_code),
        )


def exclusion_constraint(
    *,
    name: str,
    expressions: Any,
    index_type: str | None = None,
    condition: Any = None,
    deferrable: Any = None,
    include: Any = None,
    violation_error_code: str | None = None,
    violation_error_message: str | None = None,
) -> Any:
    """Django's `ExclusionConstraint`."""
    if include:
        raise MissingFeature("ExclusionConstraint(include=…)")
    return ExclusionConstraint(
        *(tuple(pair) for pair in expressions),
        using=index_type or "gist",
        condition=condition,
        deferrable=None if deferrable is None else deferrable.value,
        **_options(name, violation_error_message, violation_error_code),
    )


class ExclusionConstraint(DjangoConstraint, orm.ExclusionConstraint):
    """Django's `ExclusionConstraint`, once its options have the names of `orm`."""


CONSTRAINTS: dict[str, Any] = {
    "CheckConstraint": CheckConstraint,
    "Deferrable": Deferrable,
    "UniqueConstraint": UniqueConstraint,
}
