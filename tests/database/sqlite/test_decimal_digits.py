"""Decimals keep all digits on SQLite, or are refused: whatever the column's scale and Python's decimal context are."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import Any

import pytest

import orm

models = orm.ModelRegistry()
PLACES = (6, 15, 27, 28, 29, 30, 60)


def _model(places: int) -> Any:
    namespace = {
        "registry": models,
        "number": orm.Decimal(max_digits=places + 2, decimal_places=places),
        "__module__": __name__,
    }
    return type(f"Number{places}", (orm.Model,), namespace)


MODELS = {places: _model(places) for places in PLACES}


@pytest.mark.parametrize("precision", [3, 28, 50])
@pytest.mark.parametrize("places", PLACES)
async def test_decimal_is_stored_with_all_digits_or_refused(sqlite_url: str, places: int, precision: int) -> None:
    model = MODELS[places]
    async with orm.Database(sqlite_url) as database:
        models.database = database
        await models.create_all()
        unit = Decimal(1).scaleb(-places)
        with localcontext(Context(prec=precision)):
            for text in ("0.1", "1.5", "-0.25", "12", "0.123456"):
                number = Decimal(text)
                stored = await model.objects.create(number=number)
                await stored.load()
                assert stored.number == number
            if places > 15:  # The first digit and the last one cannot both be kept.
                for first in ("0.1", "1", "-0.9"):
                    with localcontext(Context(prec=100)):
                        number = Decimal(first) + unit
                    with pytest.raises(orm.ValidationError, match="no more than 15 significant digits on SQLite"):
                        await model.objects.create(number=number)
