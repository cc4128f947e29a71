"""Tables of classes of other libraries: Pydantic models, dataclasses and msgspec structs.

@models.table(pk="id", indexed=["name"])
class Flavor(BaseModel):
    id: str
    name: str = Field(min_length=2, max_length=63)
    rating: int = 0

await models[Flavor].insert(Flavor(id="vanilla", name="Vanilla", rating=5))
result = await models[Flavor].find_many({"rating": {"gte": 4}}, order_by=["name"])
"""

from orm.contrib.tables.registration import declare, table_of
from orm.contrib.tables.strategies import joinedload, lazyload, noload, selectinload
from orm.contrib.tables.tables import Result, Table

__all__ = ["Result", "Table", "declare", "joinedload", "lazyload", "noload", "selectinload", "table_of"]
