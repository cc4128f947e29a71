"""`PrefetchParents`: new instances whose relations to many are about to be loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orm.fields import Field
from orm.query.prefetch_tree import Branch
from orm.query.projection import Instances
from orm.query.query import Query
from orm.relations.attaching import keys_of, local_fields

if TYPE_CHECKING:
    from orm.models import Model


class PrefetchParents:
    """New instances that are made ready, as they are read, for what will hang on them.

    Once all of a large result are there, they are far from the processor's cache, and to touch each again takes longer
    than to make it. So their keys are gathered, and they are given empty lists, which only those with rows will change.
    """

    def __init__(self, fields: tuple[Field[Any], ...], accessors: Sequence[str]) -> None:
        self.keys: list[Any] = []
        self._fields = fields
        self._nothing: dict[str, list[Model]] = {accessor: [] for accessor in accessors}

    @classmethod
    def of(cls, query: Query) -> PrefetchParents | None:
        """The instances of a query, if there will be rows that they share the values of the same fields with.

        None also where something may be noted of their relations by then.
        """
        relations = [branch.relation for branch in query.branches if branch.relation.many and branch.to_attr is None]
        projection = query.projection
        if not relations or query.suppressed or not isinstance(projection, Instances) or projection.related:
            return None
        fields = local_fields(relations[0])
        return cls(fields, [relation.accessor for relation in relations if local_fields(relation) == fields])

    def are_prepared_for(self, branch: Branch) -> bool:
        """Whether they are ready for this branch."""
        return branch.to_attr is None and branch.relation.accessor in self._nothing

    def add(self, instances: list[Any]) -> None:
        """Make some more ready."""
        self.keys += keys_of(instances, self._fields)
        nothing = self._nothing
        for instance in instances:
            instance._loaded = nothing
