"""Names of Django's internals on `orm`'s classes: they raise `DjangoInternal`, so that such a test is not judged."""

from __future__ import annotations

from typing import Any

import orm
from orm.mapping.constraints import TableConstraint
from orm.mapping.model_info import ModelInfo
from orm.queryset.chaining import ChainMethods
from tests.django_suite.shim.models import Model
from tests.django_suite.shim.placeholders import DjangoInternal

FIELD = (
    "check contribute_to_class db_parameters db_type deconstruct editable flatchoices formfield get_choices"
    " get_db_prep_save get_db_prep_value get_lookup get_transform register_lookup"
    " rel_db_type remote_field save_form_data validators value_from_object value_to_string verbose_name"
)
"""Of forms, migrations, the admin and the compiler."""
EXPRESSION = (
    "_output_field_or_none _resolve_output_field as_sql convert_value deconstruct flatten get_group_by_cols"
    " get_source_expressions identity replace_expressions resolve_expression set_source_expressions"
)
NAMES: dict[Any, str] = {
    orm.Field: FIELD,
    orm.ManyToMany: FIELD,
    orm.Expression: EXPRESSION,
    orm.Q: f"{EXPRESSION} check",
    Model: "_get_unique_checks check save_base serializable_value validate_unique",
    ModelInfo: (
        "_expire_cache _forward_fields_map _relation_tree app_label apps auto_field base_manager"
        " db_tablespace default_apps fields_map label local_fields local_many_to_many managers parents private_fields"
        " related_objects swapped total_unique_constraints"
    ),
    ChainMethods: (
        "_add_hints _fetch_all _hints _iterable_class _known_related_objects _prefetch_done _result_cache"
        " _sticky_filter resolve_expression"
    ),
    orm.Manager: "_get_queryset_methods _queryset_class check deconstruct",
    orm.RelatedManager: "_add_items _get_missing_target_ids _remove_items get_prefetch_querysets",
    TableConstraint: "constraint_sql create_sql deconstruct remove_sql",
}


class _Internal:
    """An attribute that raises `DjangoInternal`, on the class and on instances."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: Any) -> Any:
        raise DjangoInternal(self.name)


def install() -> None:
    """Add the names to the classes, except for those that they have."""
    for cls, names in NAMES.items():
        for name in names.split():
            if name not in dir(cls):
                type.__setattr__(cls, name, _Internal(f"{cls.__name__}.{name}"))


class SQLText(str):
    """SQL, whose exact text no test judges: see `is_sql`."""

    __slots__ = ()

    def lower(self) -> str:
        return SQLText(super().lower())

    def upper(self) -> str:
        return SQLText(super().upper())

    def __getitem__(self, index: Any) -> str:
        return SQLText(super().__getitem__(index))

    def replace(self, *args: Any, **options: Any) -> str:
        return SQLText(super().replace(*args, **options))

    def count(self, *args: Any) -> int:
        return SQLCount(super().count(*args))


class SQLCount(int):
    """How often something is in a text of SQL."""


def is_sql(*values: Any) -> bool:
    """Whether any of the values is SQL, or was counted in it: an assertion about it is about Django's compiler."""
    return any(isinstance(value, (SQLText, SQLCount)) for value in values)
