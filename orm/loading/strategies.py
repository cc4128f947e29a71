"""`joined`, `selectin`, `noload` and `raiseload`: how the relations of one query are loaded, for ``options()``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from orm.exceptions import FieldError, QueryError
from orm.expressions.base import FieldExpression
from orm.loading.prefetch_paths import Prefetch, add_branches, find_branch, get_relation
from orm.query.paths import relation_paths, split_name
from orm.query.prefetch_tree import SuppressedRelation
from orm.query.projection import Instances, Relations, joinable
from orm.relations.fetch_modes import FetchMode

if TYPE_CHECKING:
    from orm.query.query import Query


@dataclass(frozen=True)
class Strategy:
    """How some relations of a query are loaded: an argument of ``options()``."""

    kind: Literal["joined", "selectin", "noload", "raiseload"]
    paths: tuple[str | Prefetch, ...]

    def applied(self, query: Query) -> Query:
        """The query with this strategy. Raises `FieldError` for a path that is no relation."""
        projection = query.projection
        if not isinstance(projection, Instances):
            raise QueryError("options() applies to instances, and this query selects values().")
        if self.kind == "joined":
            return query.replace(projection=projection.with_related(str(path) for path in self.paths))
        if self.kind == "selectin":
            return query.replace(branches=add_branches(query.info, query.branches, self.paths, "selectin()"))
        if self.kind == "raiseload" and "*" in self.paths:
            query = query.replace(fetch_mode=FetchMode.RAISE_ALL)
        named = [path for path in self.paths if not (self.kind == "raiseload" and path == "*")]
        paths = [each for path in named for each in relation_paths(query.info, str(path), f"{self.kind}()")]
        for path in paths:
            query = _suppressing(query, path, split_name(query.info, path), raises=self.kind == "raiseload")
        return query


def _suppressing(query: Query, path: str, parts: list[str], *, raises: bool) -> Query:
    """The query with the relation at the end of a path suppressed."""
    info, projection = query.info, query.projection
    branch = find_branch(info, query.branches, parts[0])
    if branch is not None and len(parts) > 1:
        inner = _suppressing(branch.query.replace(branches=branch.branches), path, parts[1:], raises=raises)
        replacement = replace(branch, query=inner.replace(branches=()), branches=inner.branches)
        return query.replace(branches=tuple(replacement if b is branch else b for b in query.branches))
    chain: Relations = ()
    for part in parts[:-1]:
        relation = joinable(info, part)
        if relation is None or not isinstance(projection, Instances) or (*chain, relation) not in projection.related:
            raise FieldError(f"{path!r}: {part!r} is not loaded by this query, so nothing of it can be left out.")
        chain = (*chain, relation)
        info = relation.target._meta
    item = SuppressedRelation(get_relation(info, parts[-1], path), raises, chain)
    return query.replace(suppressed=(*query.suppressed, item))


def path_of(relation: Any, method: str = "options()") -> Any:
    """The path of a relation or field that is an attribute, ``Album.tracks``; text and `Prefetch` as they are.

    Raises `QueryError` for anything else, which names the `method` that was called.
    """
    if isinstance(relation, FieldExpression):
        return "__".join(relation._path)
    if not isinstance(relation, (str, Prefetch)):
        raise QueryError(
            f"{method} takes relations as attributes of a model, as text or as Prefetch objects; got "
            f"{type(relation).__name__}."
        )
    return relation


def joined(*paths: Any) -> Strategy:
    """Load these relations in the same statement, as ``select_related()`` does.

    albums = await Album.objects.options(orm.joined("label"), orm.selectin("tracks__artist"), orm.noload("tags"))
    """
    return Strategy("joined", tuple(path_of(each, "joined()") for each in paths))


def selectin(*lookups: Any) -> Strategy:
    """Load these relations with one statement each, as ``prefetch_related()`` does."""
    return Strategy("selectin", tuple(path_of(each, "selectin()") for each in lookups))


def noload(*paths: Any) -> Strategy:
    """Do not load these relations: they read as empty, and relations to one as None."""
    return Strategy("noload", tuple(path_of(each, "noload()") for each in paths))


def raiseload(*paths: Any) -> Strategy:
    """Make these relations raise `NotLoaded` on access. The value of a foreign key stays accessible.

    ``raiseload("*")`` applies to all relations that the query does not load, of its own rows and of joined and
    prefetched rows.
    """
    return Strategy("raiseload", tuple(path_of(each, "raiseload()") for each in paths))
