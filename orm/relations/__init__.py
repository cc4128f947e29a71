"""Relations between models: `ForeignKey`, `OneToOne`, `ManyToMany`, and their ways back."""

from orm.relations.expressions import RelationExpression
from orm.relations.foreign_key import (
    CASCADE,
    NO_ACTION,
    RESTRICT,
    SET_DEFAULT,
    SET_NULL,
    ForeignKey,
    OneToOne,
)
from orm.relations.hops import Hop, Relation, joined_on, pairs, related_key
from orm.relations.many_to_many import ManyToMany, ManyToManyEnd
from orm.relations.reverse import RelatedKey, ReverseRelation

__all__ = [
    "CASCADE",
    "NO_ACTION",
    "RESTRICT",
    "SET_DEFAULT",
    "SET_NULL",
    "ForeignKey",
    "Hop",
    "ManyToMany",
    "ManyToManyEnd",
    "OneToOne",
    "RelatedKey",
    "Relation",
    "RelationExpression",
    "ReverseRelation",
    "joined_on",
    "pairs",
    "related_key",
]
