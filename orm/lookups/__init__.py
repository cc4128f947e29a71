"""Lookups (`exact`, `contains`, …), and `register()` for custom ones."""

from orm.lookups.base import Lookup, Prepared, register
from orm.lookups.comparisons import (
    Compared,
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Range,
)
from orm.lookups.texts import (
    ContainsLookup,
    EndsWithLookup,
    IContainsLookup,
    IEndsWithLookup,
    IExactLookup,
    IRegexLookup,
    IStartsWithLookup,
    RegexLookup,
    StartsWithLookup,
    TextLookup,
)

# isort: split
# Registered later, they precede the lookups of the same names above.
from orm.lookups.arrays import ArrayAny, ArrayContainedBy, ArrayContains, ArrayOverlap
from orm.lookups.hstore import HStoreContainedBy, HStoreContains, HStoreHasAnyKeys, HStoreHasKey, HStoreHasKeys
from orm.lookups.ranges import RangeContainedBy, RangeContains, RangeOverlap

__all__ = [
    "ArrayAny",
    "ArrayContainedBy",
    "ArrayContains",
    "ArrayOverlap",
    "Compared",
    "ContainsLookup",
    "EndsWithLookup",
    "Exact",
    "GreaterThan",
    "GreaterThanOrEqual",
    "HStoreContainedBy",
    "HStoreContains",
    "HStoreHasAnyKeys",
    "HStoreHasKey",
    "HStoreHasKeys",
    "IContainsLookup",
    "IEndsWithLookup",
    "IExactLookup",
    "IRegexLookup",
    "IStartsWithLookup",
    "In",
    "IsNull",
    "LessThan",
    "LessThanOrEqual",
    "Lookup",
    "Prepared",
    "Range",
    "RangeContainedBy",
    "RangeContains",
    "RangeOverlap",
    "RegexLookup",
    "StartsWithLookup",
    "TextLookup",
    "register",
]
