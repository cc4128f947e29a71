"""Which of Django's tests run: those of the folders that are about models, querysets and the database."""

from __future__ import annotations

from dataclasses import dataclass

AREAS = (
    *("aggregation", "aggregation_regress", "annotations", "async", "basic", "bulk_create", "composite_pk"),
    *("constraints", "custom_columns", "custom_managers", "custom_methods", "custom_pk", "datatypes", "dates"),
    *("datetimes", "db_functions", "defer", "defer_regress", "delete", "delete_regress", "distinct_on_fields"),
    *("expressions", "expressions_case", "expressions_window", "field_defaults", "filtered_relation"),
    *("force_insert_update", "get_earliest_or_latest", "get_or_create", "known_related_objects", "lookup"),
    *("m2m_and_m2o", "m2m_intermediary", "m2m_multiple", "m2m_recursive", "m2m_regress", "m2m_signals"),
    *(
        "m2m_through",
        "m2m_through_regress",
        "m2o_recursive",
        "managers_regress",
        "many_to_many",
        "many_to_one",
        "many_to_one_null",
    ),
    *("model_enums", "model_fields", "model_inheritance", "model_inheritance_regress", "model_regress"),
    *("proxy_models", "mutually_referential", "nested_foreign_keys", "null_fk"),
    *("null_fk_ordering", "null_queries", "one_to_one", "or_lookups", "ordering", "prefetch_related", "properties"),
    *("queries", "queryset_pickle", "reserved_names", "select_related", "select_related_onetoone"),
    *("select_related_regress", "signals", "string_lookup", "timezones", "transaction_hooks", "transactions", "update"),
    *("update_only_fields", "xor_lookups"),
    *(
        "max_lengths",
        "order_with_respect_to",
        "postgres_tests",
        "proxy_model_inheritance",
        "raw_query",
        "reverse_lookup",
        "save_delete_hooks",
    ),
    *("select_for_update", "str", "validation"),
)
"""The folders of Django's `tests/` that run."""

SERVER_AREAS = (
    *("aggregation", "annotations", "composite_pk", "datetimes", "db_functions", "expressions", "expressions_case"),
    *("lookup", "m2m_through", "many_to_many", "model_fields", "queries", "update", "xor_lookups"),
)
"""Those that the rest of the suite runs on the servers as well. `make django-suite` runs all of them there."""


@dataclass(frozen=True)
class Edit:
    """A change of Django's sources, so that what `orm` does not have does not keep the rest of a class from running."""

    path: str
    old: str
    new: str


EDITS = (
    # A generic relation of Django's kind, and a field without a column.
    Edit("filtered_relation/tests.py", "        cls.book1.generic_author.set([cls.author2])\n", ""),
    Edit("proxy_models/tests.py", "from .admin import admin as force_admin_model_registration  # NOQA\n", ""),
    # The base class of Django's tests of widgets.
    Edit("postgres_tests/__init__.py", "from forms_tests.widget_tests.base import WidgetTest\n", ""),
    Edit("postgres_tests/__init__.py", "(WidgetTest, PostgreSQLSimpleTestCase)", "(PostgreSQLSimpleTestCase)"),
    # Arrays are on every database in `orm`.
    Edit(
        "postgres_tests/test_array.py",
        "from . import PostgreSQLSimpleTestCase, PostgreSQLTestCase, PostgreSQLWidgetTestCase",
        "from django.test import SimpleTestCase as PostgreSQLSimpleTestCase, TestCase as PostgreSQLTestCase\n"
        "from . import PostgreSQLWidgetTestCase",
    ),
    # In `orm`, `_meta.fields` is a mapping.
    Edit("raw_query/models.py", "self._meta.fields", "self._meta.concrete_fields"),
    Edit("raw_query/tests.py", "model._meta.fields", "model._meta.concrete_fields"),
    Edit("update_only_fields/models.py", "    non_concrete = NonConcreteField()\n", ""),
)
