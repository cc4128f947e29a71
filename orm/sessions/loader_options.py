"""SQLAlchemy's names for how the relations of one query are loaded: `joinedload`, `selectinload`, `lazyload`, …

`noload` and `raiseload` are in `orm/loading/strategies.py`, with our own names for the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from orm.exceptions import FieldError, QueryError
from orm.loading.prefetch_paths import add_branches
from orm.loading.strategies import Strategy, path_of
from orm.query.paths import split_name
from orm.query.projection import Instances, joinable

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.query.prefetch_tree import Branch
    from orm.query.query import Query

Kind = Literal["joined", "selectin", "lazy", "noload", "raiseload", "only", "defer"]


@dataclass(frozen=True)
class LoaderOption(Strategy):
    """How a relation is loaded, and those after it: ``orm.joinedload(User.posts).joinedload(Post.comments)``."""

    steps: tuple[tuple[Kind, tuple[str, ...]], ...] = ()
    """Each kind with its paths from the model of the query; the last relation is what the next step begins at."""

    def applied(self, query: Query) -> Query:
        """The query with this option. Raises `FieldError` for a path that is no relation."""
        if not isinstance(query.projection, Instances):
            raise QueryError("options() applies to instances, and this query selects values().")
        for kind, paths in self.steps:
            for path in paths:
                query = _applied(query, kind, path)
            if kind == "only":
                query = _with_only(query, paths)
        return query

    def joinedload(self, relation: Any) -> LoaderOption:
        """Go on with a relation of the related model: see `orm.joinedload()`."""
        return self._then("joined", relation)

    def selectinload(self, relation: Any) -> LoaderOption:
        """Go on with a relation of the related model: see `orm.selectinload()`."""
        return self._then("selectin", relation)

    subqueryload = immediateload = selectinload

    def lazyload(self, relation: Any) -> LoaderOption:
        """Do not load a relation of the related model: see `orm.lazyload()`."""
        return self._then("lazy", relation)

    def noload(self, relation: Any) -> LoaderOption:
        """Do not load a relation of the related model, which reads as empty."""
        return self._then("noload", relation)

    def raiseload(self, relation: Any) -> LoaderOption:
        """Do not load a relation of the related model, which raises `NotLoaded` when it is read."""
        return self._then("raiseload", relation)

    def load_only(self, *fields: Any) -> LoaderOption:
        """Load only these fields of the related model, and its key."""
        return self._with_fields("only", fields)

    def defer(self, *fields: Any) -> LoaderOption:
        """Do not load these fields of the related model."""
        return self._with_fields("defer", fields)

    def options(self, *options: LoaderOption) -> LoaderOption:
        """Several relations of the related model."""
        prefix = self._prefix
        further = tuple(
            (kind, tuple(prefix + path for path in paths)) for option in options for kind, paths in option.steps
        )
        return replace(self, steps=(*self.steps, *further))

    @property
    def _prefix(self) -> str:
        relations = [paths[-1] for kind, paths in self.steps if kind not in ("only", "defer")]
        return f"{relations[-1]}__" if relations else ""

    def _then(self, kind: Kind, relation: Any) -> LoaderOption:
        return replace(self, steps=(*self.steps, (kind, (self._prefix + path_of(relation),))))

    def _with_fields(self, kind: Kind, fields: Iterable[Any]) -> LoaderOption:
        paths = tuple(self._prefix + path_of(each) for each in fields)
        return replace(self, steps=(*self.steps, (kind, paths)))


def _applied(query: Query, kind: Kind, path: str) -> Query:
    """The query with one step."""
    projection = query.projection
    assert isinstance(projection, Instances)
    if kind in ("noload", "raiseload"):
        return Strategy("noload" if kind == "noload" else "raiseload", (path,)).applied(query)
    if kind == "lazy":
        return _without(query, path)
    if kind == "defer":
        return _with_deferred(query, path)
    if kind == "joined" and _is_to_one(query.info, path):
        return query.replace(projection=projection.with_related([path]))
    if kind in ("joined", "selectin"):
        return query.replace(branches=add_branches(query.info, query.branches, [path], f"{kind}load()"))
    return query


def _is_to_one(info: ModelInfo, path: str) -> bool:
    """Whether a join gives one row for each: all relations of the path lead to one row."""
    for part in split_name(info, path):
        relation = joinable(info, part)
        if relation is None:
            return False
        info = relation.target._meta
    return True


def _without(query: Query, path: str) -> Query:
    """The query without loading a relation, whatever was said before."""
    parts = split_name(query.info, path)
    projection = query.projection
    assert isinstance(projection, Instances)
    chains = tuple(chain for chain in projection.related if [each.name for each in chain][: len(parts)] != parts)
    branches = _branches_without(query.branches, parts)
    return query.replace(projection=replace(projection, related=chains), branches=branches)


def _branches_without(branches: tuple[Branch, ...], parts: list[str]) -> tuple[Branch, ...]:
    kept = []
    for branch in branches:
        if branch.relation.name == parts[0] and branch.to_attr is None:
            if len(parts) == 1:
                continue
            branch = replace(branch, branches=_branches_without(branch.branches, parts[1:]))
        kept.append(branch)
    return tuple(kept)


def _owner_of_fields(query: Query, path: str) -> tuple[str, str]:
    """The path of the relations that lead to a field, and the field."""
    relations, _, field = path.rpartition("__")
    return relations, field


def _with_deferred(query: Query, path: str) -> Query:
    relations, field = _owner_of_fields(query, path)
    if not relations or _is_to_one(query.info, relations):
        projection = query.projection
        assert isinstance(projection, Instances)
        return query.replace(projection=projection.with_deferred((path,)))
    return _in_branch(query, relations, lambda inner: inner.with_deferred((field,)))


def _with_only(query: Query, paths: tuple[str, ...]) -> Query:
    relations = _owner_of_fields(query, paths[0])[0]
    projection = query.projection
    assert isinstance(projection, Instances)
    if not relations:
        return query.replace(projection=projection.with_only(paths))
    fields = [_owner_of_fields(query, path)[1] for path in paths]
    if _is_to_one(query.info, relations):
        names = [field.name for field in projection.own_fields()]
        return query.replace(projection=projection.with_only([*names, *paths]))
    return _in_branch(query, relations, lambda inner: inner.with_only(fields))


def _in_branch(query: Query, path: str, change: Any) -> Query:
    """The query with another projection of the rows of a branch."""

    def changed(branches: tuple[Branch, ...], parts: list[str]) -> tuple[Branch, ...]:
        result = []
        for branch in branches:
            if branch.relation.name == parts[0] and branch.to_attr is None:
                if len(parts) > 1:
                    branch = replace(branch, branches=changed(branch.branches, parts[1:]))
                else:
                    inner = branch.query.replace(projection=change(branch.query.projection))
                    branch = replace(branch, query=inner)
            result.append(branch)
        return tuple(result)

    parts = split_name(query.info, path)
    branches = changed(query.branches, parts)
    if branches == query.branches:
        raise FieldError(f"{path!r} is not loaded by this query, so its fields cannot be chosen: load it first.")
    return query.replace(branches=branches)


def _option(kind: Kind, relations: Iterable[Any]) -> LoaderOption:
    option = LoaderOption("selectin", ())
    for relation in relations:  # as in SQLAlchemy, each begins where the one before has led
        option = option._then(kind, relation)
    return option


def joinedload(*relations: Any) -> LoaderOption:
    """Load a relation with a join; one to many rows with a statement of its own, since a join would repeat the rows.

        users = await User.objects.options(orm.joinedload(User.posts).joinedload(Post.comments))

    The argument is an attribute of the model, or a path as text. Raises `FieldError` for what is not a relation.
    """
    return _option("joined", relations)


def selectinload(*relations: Any) -> LoaderOption:
    """Load a relation with a statement of its own, as ``prefetch_related()`` does: see `joinedload()`."""
    return _option("selectin", relations)


def lazyload(*relations: Any) -> LoaderOption:
    """Do not load a relation, whatever was said before: read without `await`, it raises `NotLoaded`."""
    return _option("lazy", relations)


def load_only(*fields: Any) -> LoaderOption:
    """Load only these fields and the key, as ``only()`` does."""
    return LoaderOption("selectin", (), (("only", tuple(map(path_of, fields))),))


def defer(*fields: Any) -> LoaderOption:
    """Do not load these fields, as ``defer()`` does."""
    return LoaderOption("selectin", (), (("defer", tuple(map(path_of, fields))),))
