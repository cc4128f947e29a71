"""The cases, by area; `ALL` has them in their order."""

from tests.conformance.areas import (
    aggregation,
    annotations,
    bulk,
    combining,
    commits,
    conditional,
    dates,
    deleting,
    distinct,
    errors,
    excluding,
    expressions,
    functions,
    getting,
    json,
    lookups,
    nulls,
    ordering,
    relations,
    slicing,
    subqueries,
    trees,
    updating,
    values,
    windows,
)
from tests.conformance.cases import Case

ALL: list[Case] = [
    case
    for area in (
        lookups,
        relations,
        nulls,
        excluding,
        trees,
        ordering,
        slicing,
        distinct,
        values,
        expressions,
        annotations,
        aggregation,
        conditional,
        subqueries,
        functions,
        dates,
        json,
        windows,
        combining,
        getting,
        bulk,
        updating,
        deleting,
        errors,
        commits,
    )
    for case in area.case.cases
]
