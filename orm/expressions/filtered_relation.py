"""`FilteredRelation`: a relation with a condition in its join."""

from __future__ import annotations

from typing import Any

from orm.exceptions import QueryError
from orm.expressions.base import Q


class FilteredRelation:
    """A relation that joins only the rows that meet a condition, under its own name.

        mine = orm.FilteredRelation("votes", condition=orm.Q(votes__user=user))
        await Post.objects.annotate(mine=mine).values("title", "mine__value")

    The condition is in the ON of a LEFT JOIN, so rows without a related row stay, with NULLs. All uses of ``mine`` in
    the query refer to the same join. ``prefetch_related("mine")`` loads the rows into an attribute of that name.

    Args:
        relation_name: the relation, or a path of relations: ``"votes"``, ``"album__tracks"``.
        condition: lookups of the relation's fields (``votes__user``) and of the model's own fields.

    Raises:
        QueryError: the condition is not a `Q`, or the name is not text.
    """

    def __init__(self, relation_name: str, *, condition: Q | None = None) -> None:
        if not isinstance(relation_name, str) or not relation_name:
            raise QueryError(f"FilteredRelation() takes the name of a relation as text, got {relation_name!r}.")
        if condition is not None and not isinstance(condition, Q):
            raise QueryError(f"The condition of a FilteredRelation is an orm.Q, got {type(condition).__name__}.")
        self.relation_name = relation_name
        self.condition = Q() if condition is None else condition

    def __repr__(self) -> str:
        return f"FilteredRelation({self.relation_name!r}, condition={self.condition!r})"

    def condition_of_target(self) -> Q:
        """The condition in names of the related model: ``votes__user`` becomes ``user``.

        Raises `QueryError` if the condition reads other fields, too.
        """
        return self._of_target(self.condition)

    def _of_target(self, condition: Q) -> Q:
        prefix = f"{self.relation_name}__"
        children: list[Any] = []
        for child in condition.children:
            if isinstance(child, Q):
                children.append(self._of_target(child))
            elif isinstance(child, tuple) and child[0].startswith(prefix):
                children.append((child[0].removeprefix(prefix), child[1]))
            else:
                raise QueryError(
                    f"Only lookups of {self.relation_name!r} can be prefetched, and the condition of this "
                    f"FilteredRelation has {child!r}: use a Prefetch with a queryset."
                )
        return Q._of(condition.connector, tuple(children), negated=condition.negated)
