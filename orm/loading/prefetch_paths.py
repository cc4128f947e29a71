"""`Prefetch`, and the branches that the paths of ``prefetch_related()`` add to a query."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError, QueryError
from orm.query.pages import check_page_size, first_page_query
from orm.query.paths import relation_paths, split_name
from orm.query.prefetch_tree import Branch
from orm.query.projection import Instances
from orm.query.query import Query, rows_of_model
from orm.query.related_rows import check_related_query

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.queryset.chaining import ChainMethods
    from orm.queryset.queryset import QuerySet
    from orm.relations import Relation


class Prefetch:
    """A relation to prefetch, with a queryset that filters, orders or slices its rows, or loads more with them.

        Album.objects.prefetch_related(orm.Prefetch("tracks", Track.objects.order_by("-plays")[:3], to_attr="top"))

    Args:
        lookup: a path of relations, such as ``"albums__tracks"``.
        queryset: the rows of the last relation. A slice applies to each instance's rows.
        to_attr: the attribute that takes the rows: a list, or one instance or None for a relation to one. The relation
            itself is left as it is.
        page: the number of rows of a page. `to_attr` then takes the first `Page` of each instance, whose `next_cursor`
            is for ``album.tracks.order_by("-plays").page(after=…)``.

    Raises:
        QueryError: the queryset selects values or is raw SQL.
    """

    def __init__(
        self,
        lookup: str,
        queryset: ChainMethods[Any, Any] | None = None,
        to_attr: str | None = None,
        page: int | None = None,
    ) -> None:
        if not isinstance(lookup, str) or not lookup:
            raise QueryError(f"Prefetch() takes the path of a relation as text, got {lookup!r}.")
        query = getattr(queryset, "_query", None)
        if queryset is not None and not isinstance(query, Query):
            raise QueryError(f"The queryset of Prefetch({lookup!r}) is a queryset, got {type(queryset).__name__}.")
        if query is not None and not isinstance(query.projection, Instances):
            raise QueryError(f"The queryset of Prefetch({lookup!r}) gives values: it must give instances.")
        if to_attr is not None and (not isinstance(to_attr, str) or not to_attr.isidentifier()):
            raise QueryError(f"to_attr of Prefetch({lookup!r}) is the name of an attribute, got {to_attr!r}.")
        self.lookup = lookup
        self.queryset = queryset
        self.to_attr = to_attr
        if page is not None and (queryset is None or to_attr is None):
            raise QueryError(f"Prefetch({lookup!r}, page=…) takes a queryset, which has the order, and a to_attr.")
        self.page = None if page is None else check_page_size(page, "Prefetch(page=)")

    def __repr__(self) -> str:
        more = "" if self.to_attr is None else f", to_attr={self.to_attr!r}"
        return f"Prefetch({self.lookup!r}{more})"


def add_branches(
    info: ModelInfo, branches: tuple[Branch, ...], lookups: Iterable[Any], what: str = "prefetch_related()"
) -> tuple[Branch, ...]:
    """The branches with those of further lookups: paths and `Prefetch` objects, the arguments of `what`.

    Raises `FieldError` for a path that is no relation, `QueryError` for a second queryset of the same relation.
    """
    for lookup in lookups:
        if isinstance(lookup, str):
            lookup = Prefetch(lookup)
        if not isinstance(lookup, Prefetch):
            raise QueryError(f"{what} takes paths and Prefetch objects, got {type(lookup).__name__}.")
        for path in relation_paths(info, lookup.lookup, what):
            branches = _with_path(info, branches, split_name(info, path), lookup, what)
    return branches


def find_branch(info: ModelInfo, branches: tuple[Branch, ...], name: str) -> Branch | None:
    """The branch that a part of a path refers to, by its `to_attr` or its relation; None if there is none."""
    branch = next((branch for branch in branches if branch.name == name), None)
    if branch is None:
        relation = info.relations.get(name)
        branch = next((b for b in branches if b.to_attr is None and b.relation is relation), None)
    return branch


def _with_path(
    info: ModelInfo, branches: tuple[Branch, ...], parts: list[str], prefetch: Prefetch, what: str
) -> tuple[Branch, ...]:
    """The branches with one more path, whose parts are these."""
    name, *rest = parts
    if not rest:
        return _with_branch(info, branches, name, prefetch, what)
    existing = find_branch(info, branches, name)
    branch = existing or default_branch(get_relation(info, name, prefetch.lookup))
    branch = replace(branch, branches=_with_path(branch.relation.target._meta, branch.branches, rest, prefetch, what))
    return _replaced(branches, existing, branch)


def _with_branch(
    info: ModelInfo, branches: tuple[Branch, ...], name: str, prefetch: Prefetch, what: str
) -> tuple[Branch, ...]:
    """The branches with the one at the end of a path."""
    queryset, to_attr = prefetch.queryset, prefetch.to_attr
    existing = find_branch(info, branches, to_attr or name)
    if existing is not None:
        if queryset is None and (to_attr is None or existing.to_attr == to_attr):
            return branches
        raise QueryError(
            f"{what}: {prefetch.lookup!r} is loaded already, by another queryset or a path before. "
            "Give the queryset first and only once, or another to_attr."
        )
    branch = default_branch(get_relation(info, name, prefetch.lookup))
    relation = branch.relation
    if to_attr is not None:
        check_to_attr(info, to_attr)
    if queryset is not None:
        query = queryset._query
        check_related_query(relation, query, what)
        if prefetch.page is not None:
            if not relation.many:
                raise QueryError(f"{what}: {prefetch.lookup!r} leads to one row, of which there are no pages.")
            query = first_page_query(query, prefetch.page, f"Prefetch({prefetch.lookup!r}, page=…)")
        branch = Branch(
            relation,
            query.replace(branches=()),
            branches=query.branches,
            database=queryset._given,
            page=prefetch.page,
        )
    return (*branches, replace(branch, to_attr=to_attr))


def _replaced(branches: tuple[Branch, ...], old: Branch | None, new: Branch) -> tuple[Branch, ...]:
    if old is None:
        return (*branches, new)
    return tuple(new if branch is old else branch for branch in branches)


def default_branch(relation: Relation) -> Branch:
    """All rows of the relation; for a relation to many, as in Django, those of the target's `objects` manager."""
    info = relation.target._meta
    if not relation.many:
        return Branch(relation, rows_of_model(info))
    objects: QuerySet[Any, Any] = info.model.objects
    query = objects._query
    return Branch(relation, query.replace(branches=()), branches=query.branches, database=objects._given)


def get_relation(info: ModelInfo, name: str, path: str) -> Relation:
    """The relation with this name, of an instance's attribute or of lookups. Raises `FieldError` with the choices."""
    relation = info.accessors.get(name) or info.relations.get(name)
    if relation is None:
        if info.retired_field(name) is not None:
            raise info.unknown(name, f"a relation ({path!r})")
        choices = sorted(accessor for accessor in info.accessors if not accessor.endswith("+"))
        close = difflib.get_close_matches(name, choices, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise FieldError(
            f"{info.name} has no relation {name!r}, given in the path {path!r}.{hint} "
            f"Choices are: {', '.join(choices) or 'none'}."
        )
    return relation


def check_to_attr(info: ModelInfo, name: str) -> None:
    """Raise `QueryError` if instances have another attribute of this name."""
    if name in info.settable or name in info.accessors or hasattr(info.model, name):
        raise QueryError(f"to_attr={name!r}: {info.name} has an attribute of that name already.")
