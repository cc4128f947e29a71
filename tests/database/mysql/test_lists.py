"""Lists under `__in` on MySQL, where each value has a placeholder."""

from __future__ import annotations

import pytest

import orm
from orm.database.dialect_registry import dialects

models = orm.ModelRegistry()


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    views = orm.Integer(default=0)


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
def test_lists_of_up_to_128_values_are_padded_to_a_power_of_two(scheme: str) -> None:
    notes = Note.objects.using(orm.Database(f"{scheme}://localhost/nowhere"))
    statements = [notes.filter(id__in=range(length), views=7).sql for length in range(1, 129)]
    assert len({statement.text for statement in statements}) == 8
    assert statements[2].values == (0, 1, 2, 2, 7)
    assert statements[4].values == (0, 1, 2, 3, 4, 4, 4, 4, 7)
    for length, statement in enumerate(statements, start=1):
        assert statement.text.count("%s") == len(statement.values)
        assert set(statement.values[:-1]) == set(range(length))


def test_longer_lists_and_empty_ones_stay_as_they_are() -> None:
    for length in (0, 129, 1_000):
        values = [*range(length)]
        assert dialects["mysql"].encode_list(values) == values
