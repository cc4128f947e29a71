"""`Scope`: what names mean at one point of a query — fields, relations, annotations — and which joins they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orm.query.paths import Path, resolve_path, split_path
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.transforms import split_steps, with_steps
from orm.relations import ForeignKey, RelatedKey

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.relations import Hop

Reached = Mapping["tuple[Hop, ...]", int]


class Scope:
    """Resolves the names in one call of a queryset's method.

    A relation that leads to many rows is joined once for all conditions of one ``filter()`` call, and again
    for the next call: each such call has a scope of its own, a number. Other calls take the latest joins.
    """

    __slots__ = ("_own", "annotations", "info", "reached", "scopes")

    def __init__(
        self,
        info: ModelInfo,
        annotations: Mapping[str, Term] | None = None,
        reached: Reached | None = None,
        scopes: int = 0,
        *,
        own_scope: bool = False,
    ) -> None:
        self.info = info
        self.annotations = annotations or {}
        self.reached: Reached = reached or {}
        """The latest scope in which each chain of relations was joined."""
        self.scopes = scopes
        self._own = scopes + 1 if own_scope else 0

    def join_number(self, path: Path) -> int:
        """The scope in which a path is joined; 0 for one that leads to a single row."""
        if not path.many:
            return 0
        first = path.first_many()
        chains = [path.relations[:end] for end in range(first, len(path.relations) + 1)]
        scope = self._own
        if not scope:
            # The latest join of the first of them, and what follows from there.
            scope = self.reached.get(chains[0], self.scopes + 1)
        self.scopes = max(self.scopes, scope)
        self.reached = {**self.reached, **dict.fromkeys(chains, scope)}
        return scope

    def joined_here(self, chain: tuple[Hop, ...]) -> int:
        """The scope of this very call, if it has joined these relations already; else 0."""
        return self._own if self._own and self.reached.get(chain) == self._own else 0

    def term(self, name: str, what: str) -> Term:
        """What a name stands for: an annotation, or a column. Raises `FieldError` with the choices."""
        if self.annotations:
            annotation = self.annotations.get(name)
            if annotation is not None:
                return annotation
            first, *rest = name.split("__")
            annotation = self.annotations.get(first)
            if annotation is not None:
                return with_steps(annotation, split_steps(annotation.field, rest))
        path, parts = split_path(self.info, name, what)
        if not parts:
            return self.path_term(path)
        if isinstance(path.field, (ForeignKey, RelatedKey)):
            return self.path_term(resolve_path(self.info, name, what))
        return with_steps(self.path_term(path), split_steps(path.field, parts))

    def path_term(self, path: Path) -> PathTerm:
        """The column of a path, in the scope that is right here."""
        if path.many:
            return PathTerm(path, self.join_number(path))
        found = path.term
        if found is None:
            found = path.term = PathTerm(path)
        return found
