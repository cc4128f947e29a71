"""Relations between models: `ForeignKey`, `OneToOne`, `ManyToMany`, and their ways back."""

from orm.relations.composed import Composed
from orm.relations.composite import CompositeForeignKey
from orm.relations.expressions import RelationExpression
from orm.relations.foreign_key import ForeignKey, OneToOne
from orm.relations.forward import CASCADE, NO_ACTION, RESTRICT, SET_DEFAULT, SET_NULL
from orm.relations.generic import GenericExpression, GenericForeignKey
from orm.relations.hops import Hop, Relation, fields_of, joined_on, pairs, related_key, related_keys
from orm.relations.many_to_many import ManyToMany, ManyToManyEnd
from orm.relations.reverse import RelatedKey, ReverseRelation

# The relations to one row whose key is kept on this side.
FORWARD = (ForeignKey, CompositeForeignKey)

__all__ = [
    "CASCADE",
    "FORWARD",
    "NO_ACTION",
    "RESTRICT",
    "SET_DEFAULT",
    "SET_NULL",
    "Composed",
    "CompositeForeignKey",
    "ForeignKey",
    "GenericExpression",
    "GenericForeignKey",
    "Hop",
    "ManyToMany",
    "ManyToManyEnd",
    "OneToOne",
    "RelatedKey",
    "Relation",
    "RelationExpression",
    "ReverseRelation",
    "fields_of",
    "joined_on",
    "pairs",
    "related_key",
    "related_keys",
]
