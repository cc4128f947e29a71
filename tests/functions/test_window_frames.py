"""The frames of window functions."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections.database import Database

NUMBERS = (1, 2, 4, 5, 9)


@pytest.mark.parametrize("ordering", ["small", "large", "exact", "real"])
async def test_value_range_is_of_the_rows_whose_values_are_near(database: Database, ordering: str) -> None:
    models = orm.ModelRegistry(database=database)

    class Score(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        small = orm.Integer()
        large = orm.BigInteger()
        exact = orm.Decimal(max_digits=9, decimal_places=2)
        real = orm.Float()

    await models.create_all()
    await Score.objects.bulk_create([dict.fromkeys(("small", "large", "exact", "real"), number) for number in NUMBERS])
    for start, end in ((-1, 1), (None, 2), (-3, 0), (0, None), (-2, None), (None, 0), (None, None)):
        near = orm.Window(orm.Sum("small"), order_by=ordering, frame=orm.ValueRange(start, end))
        expected = [sum(other for other in NUMBERS if _is_near(other - number, start, end)) for number in NUMBERS]
        sums = await Score.objects.annotate(near=near).order_by("id").values_list("near", flat=True)
        assert sums == expected, (start, end)


def _is_near(distance: int, start: int | None, end: int | None) -> bool:
    return (start is None or distance >= start) and (end is None or distance <= end)


@pytest.mark.parametrize(("start", "end"), [(1, 2), (None, -1), (-2, -1)])
def test_value_range_that_leaves_the_row_out_is_refused_as_in_django(start: int | None, end: int) -> None:
    with pytest.raises(orm.QueryError, match="begins at or before the row's value"):
        orm.ValueRange(start, end)
