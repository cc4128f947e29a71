"""`PrefetchParents`: new instances whose relations to many will be prefetched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orm.database.connections.units_of_work import open_units
from orm.fields import Field
from orm.query.prefetch_tree import Branch
from orm.query.projection import Instances
from orm.query.query import Query
from orm.relations.attaching import keys_of, local_fields

if TYPE_CHECKING:
    from orm.models import Model


class PrefetchParents:
    """Collects the keys of new instances while they are read, and gives each an empty prefetch result.

    When all instances of a large result have been read, they are no longer in the processor's cache, and touching each
    of them again takes longer than creating it. So only those that have related rows are changed afterwards.
    """

    def __init__(self, fields: tuple[Field[Any], ...], accessors: Sequence[str]) -> None:
        self.keys: list[Any] = []
        self._fields = fields
        self._empty_result: dict[str, list[Model]] = {accessor: [] for accessor in accessors}

    @classmethod
    def of(cls, query: Query) -> PrefetchParents | None:
        """The future instances of a query, for its branches to many that use the same fields as the first one.

        None if there is no such branch, or if something else may write to `LOADED` of the instances first.
        """
        relations = [branch.relation for branch in query.branches if branch.relation.many and branch.to_attr is None]
        projection = query.projection
        if not relations or query.suppressed or not isinstance(projection, Instances) or projection.related:
            return None
        if open_units:  # a session may replace the instances by those that it has
            return None
        fields = local_fields(relations[0])
        return cls(fields, [relation.accessor for relation in relations if local_fields(relation) == fields])

    def are_prepared_for(self, branch: Branch) -> bool:
        """Whether the instances have an empty result for this branch."""
        return branch.to_attr is None and branch.relation.accessor in self._empty_result

    def add(self, instances: list[Any]) -> None:
        """Prepare instances that have just been read."""
        self.keys += keys_of(instances, self._fields)
        empty_result = self._empty_result
        for instance in instances:
            instance._loaded = empty_result
