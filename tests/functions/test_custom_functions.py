"""Functions of one's own that return something else than SQL or a field."""

from __future__ import annotations

from typing import Any

import pytest

import orm

models = orm.ModelRegistry(database=orm.Database("sqlite://"))


class Item(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=9)


@pytest.mark.parametrize("built", [None, 5, "name", ["name"], orm.F("name")])
def test_function_that_builds_no_sql_is_refused_by_name(built: Any) -> None:
    class Odd(orm.Func[str]):
        def build(self, *arguments: Any) -> Any:
            return built

    class OddAggregate(orm.Aggregate[str]):
        name = "odd"

        def build(self, *arguments: Any) -> Any:
            return built

    for function in (Odd("name"), OddAggregate("name"), orm.functions.Upper(Odd("name"))):
        with pytest.raises(orm.QueryError, match=r"Odd\w*\(F\('name'\)\) is no SQL.*\.build\(\) returned \w+ instead"):
            _ = Item.objects.annotate(odd=function).sql
    with pytest.raises(orm.QueryError, match=r"Odd\(F\('name'\)\) is no SQL"):
        _ = Item.objects.filter(Odd("name") == "a").sql


@pytest.mark.parametrize("field", [orm.Integer, None, "integer", int])
def test_function_whose_result_is_no_field_is_refused_by_name(field: Any) -> None:
    class Odd(orm.Func[int]):
        function = "ODD"

        def result(self, *fields: Any) -> Any:
            return field

    with pytest.raises(orm.QueryError, match=r"The type of Odd\(F\('name'\)\) is a field, such as orm\.Integer\(\)"):
        Item.objects.annotate(odd=Odd("name"))
    if field is not None:
        with pytest.raises(orm.FieldError, match="output_field="):
            orm.Func("name", function="ODD", output_field=field)
