"""`LoadingMethods`: the methods of a queryset that say which fields and relations are loaded with its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from typing_extensions import Self
from typing_extensions import TypeVar as DefaultTypeVar

from orm.exceptions import FieldError, NotSupportedError, QueryError
from orm.loading.prefetch_paths import Prefetch, add_branches, find_branch
from orm.loading.strategies import Strategy
from orm.query.projection import Instances
from orm.query.query import Query
from orm.query.set_operations import Combination
from orm.query.terms.filtered_relation import FilteredRelationTerm
from orm.relations.fetch_modes import FetchMode

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model")
R = DefaultTypeVar("R", default=Any)


class LoadingMethods(Generic[M, R]):
    """A queryset's methods for what is loaded with its rows. Every method returns a new queryset."""

    if TYPE_CHECKING:

        def __init__(self, query: Query) -> None:
            self._query = query

        def _clone(self, query: Query) -> Self: ...

    def select_related(self, *relations: str | Sequence[str] | None) -> Self:
        """Load these to-one relations in the same query, with joins: ``"album"``, ``"team__org"``.

        Without arguments, all relations that cannot be null; with None, none.
        """
        projection = self._instances("select_related()")
        if relations == (None,):
            return self._clone(self._query.replace(projection=replace(projection, related=())))
        names = [name for item in relations for name in ([item] if isinstance(item, str) else item or [])]
        for name in names:
            if _filtered_relation(self._query, name) is not None:
                raise FieldError(f"select_related({name!r}): the rows of a filtered relation are prefetch_related().")
        projection = projection.with_related(names) if names else projection.all_related()
        return self._clone(self._query.replace(projection=projection))

    def prefetch_related(self, *lookups: str | Prefetch | None) -> Self:
        """Load these relations, with one statement for each: ``"tracks__artist"``, ``Prefetch("tracks", …)``.

        Paths may follow relations of any kind, in any direction; with None, none is loaded. A relation that several
        paths share is loaded once, and one that `select_related()` joined is not loaded again. The rows are in the
        relation's attribute (``album.tracks.all()`` returns them without a query) or in the `to_attr` of a `Prefetch`.

        Raises `FieldError` for a path that is not a relation, `QueryError` for a second queryset for the same one.
        """
        self._instances("prefetch_related()")
        query = self._query
        if isinstance(query, Combination):
            raise NotSupportedError(f"prefetch_related() cannot follow {query.operation}().")
        if lookups == (None,):
            return self._clone(query.replace(branches=()))
        branches = query.branches
        for lookup in lookups:
            relation = _filtered_relation(query, lookup)
            if relation is not None and find_branch(query.info, branches, relation.name) is None:
                branches = add_branches(query.info, branches, [_prefetch_of(relation)])
            if relation is None or lookup != relation.name:
                branches = add_branches(query.info, branches, [lookup])
        return self._clone(query.replace(branches=branches))

    def options(self, *strategies: Strategy) -> Self:
        """Choose how relations are loaded: `orm.joined()`, `orm.selectin()`, `orm.noload()`, `orm.raiseload()`."""
        query = self._query
        for strategy in strategies:
            if not isinstance(strategy, Strategy):
                raise QueryError(
                    "options() takes orm.joined(…), selectin(…), noload(…) and raiseload(…), "
                    f"got {type(strategy).__name__}."
                )
            query = strategy.applied(query)
        return self._clone(query)

    def only(self, *names: str) -> Self:
        """Load only these fields and the primary key. Reading another field raises `NotLoaded`."""
        projection = self._instances("only()").with_only(names)
        return self._clone(self._query.replace(projection=projection))

    def defer(self, *names: str | None) -> Self:
        """Load all fields except these, and those of earlier calls; with None, all fields."""
        projection = self._instances("defer()").with_deferred(names)
        return self._clone(self._query.replace(projection=projection))

    def _instances(self, what: str) -> Instances:
        projection = self._query.projection
        if not isinstance(projection, Instances):
            raise QueryError(f"{what} applies to instances, and this query selects values().")
        return projection

    def fetch_mode(self, mode: FetchMode) -> Self:
        """Choose what happens when a field or relation is read that this query does not load, as in Django 6.1.

            tracks = await Track.objects.fetch_mode(orm.PEERS)
            album = await tracks[0].album  # one statement loads the albums of all tracks
            title = tracks[1].album.title

        Args:
            mode: `orm.ONE` loads for one instance, which is the default. With `orm.PEERS`, ``await track.album``,
                ``await album.tracks``, ``track.load(fields=[…])`` and `orm.load()` load for all instances of the same
                result at once. With `orm.RAISE`, a relation to one raises `NotLoaded` instead of giving an instance
                that holds only its key. The mode also applies to joined and prefetched rows, and to those that are
                loaded afterwards.
        """
        if not isinstance(mode, FetchMode):
            raise QueryError(f"fetch_mode() takes orm.ONE, orm.PEERS or orm.RAISE, got {mode!r}.")
        return self._clone(self._query.replace(fetch_mode=mode))


def _filtered_relation(query: Query, lookup: object) -> FilteredRelationTerm | None:
    """The filtered relation of the query that a path begins with."""
    path = lookup.lookup if isinstance(lookup, Prefetch) else lookup
    annotation = query.annotations.get(path.partition("__")[0]) if isinstance(path, str) else None
    return annotation if isinstance(annotation, FilteredRelationTerm) else None


def _prefetch_of(relation: FilteredRelationTerm) -> Prefetch:
    """The prefetch of a filtered relation, into an attribute with its name."""
    expression, target = relation.term.expression, relation.term.target.model
    if "__" in expression.relation_name:
        raise QueryError(
            f"prefetch_related({relation.name!r}): {expression!r} leads over several relations. Prefetch the last one "
            "with a queryset: orm.Prefetch(path, queryset, to_attr=...)."
        )
    rows = target.objects.filter(expression.condition_of_target())
    return Prefetch(expression.relation_name, rows, to_attr=relation.name)
