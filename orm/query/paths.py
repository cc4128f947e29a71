"""Paths: the columns that names such as ``album__name`` refer to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError
from orm.fields import Field
from orm.relations import CompositeForeignKey, Embedded, ForeignKey, GenericForeignKey, Hop, RelatedKey, ReverseRelation

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

# Only valid names are interned, so only names that go round in cycles of relations reach this.
MAX_CACHED = 2_000


class Path:
    """A column reached from a model over zero or more joins.

    Paths are interned by model, so cache keys compare them by identity.
    """

    __slots__ = ("_rests", "field", "many", "name", "nullable", "relations", "stored", "term")

    def __init__(
        self,
        name: str,
        relations: tuple[Hop, ...],
        stored: Field[Any],
        field: Field[Any],
    ) -> None:
        self.name = name
        self.relations = relations
        """The relations to join over."""
        self.stored = stored
        """The field whose column is read; its model is the target of the last relation."""
        self.field = field
        """The field that the path names. It is not `stored` if a foreign key of this side saves a join."""
        self.nullable = stored.allow_null or any(
            relation.allow_null or leads_to_some_rows(relation) for relation in relations
        )
        self.many = any(relation.many for relation in relations)
        """Whether it can lead to several rows."""
        self.term: Any = None
        """Its `PathTerm`, kept here by `PathTerm.of`. Terms are a layer above, so it has no type here."""
        self._rests: dict[int, Path] = {}

    def after(self, count: int) -> Path:
        """The path without its first `count` relations; always the same object."""
        rest = self._rests.get(count)
        if rest is None:
            rest = self._rests[count] = Path(self.name, self.relations[count:], self.stored, self.field)
        return rest

    def first_many(self) -> int:
        """The number of relations up to and including the first that can lead to several rows."""
        return next(i for i, relation in enumerate(self.relations, start=1) if relation.many)

    def __repr__(self) -> str:
        return f"<Path {self.name}>"


def leads_to_some_rows(relation: object) -> bool:
    """Whether a foreign key may have the key of a row of another model, which is no related row: of the same table."""
    return isinstance(relation, ForeignKey) and relation.target._meta.is_filtered


def check_name(name: object, what: str) -> None:
    """Raise `FieldError` unless a name is text. `what` is what it is used as, for the message."""
    if not isinstance(name, str):
        raise FieldError(f"{what} is named by text, got {type(name).__name__}.")


def resolve_path(info: ModelInfo, name: str, what: str) -> Path:
    """The path that the whole name refers to. Raises `FieldError` with the choices."""
    path, rest = split_path(info, name, what)
    if rest and isinstance(path.field, (ForeignKey, RelatedKey)):
        raise path.field.target._meta.unknown(rest[0], f"{what} ({name!r})")
    if rest:
        raise FieldError(
            f"{info.name}: {name!r}, given as {what}, goes on past the field {path.field.name!r} "
            f"of {path.field.model.__name__}, which is not a relation."
        )
    return path


def split_path(info: ModelInfo, name: str, what: str) -> tuple[Path, tuple[str, ...]]:
    """The path that a name begins with, and the parts that follow it (transforms and a lookup).

    Raises `FieldError` with the choices if a part names no field. `what` is what the name is used as, for the message.
    """
    known: Path | None = info.paths.get(name)
    if known is not None:
        return known, ()
    parts = split_name(info, name)
    hops: list[Hop] = []
    current = info
    position = -1
    while True:
        position += 1
        part = parts[position]
        if part in current.composed and part not in current.relations:
            position += 1
            part = _field_of_part(current, part, parts[position] if position < len(parts) else None, what)
        rest = tuple(parts[position + 1 :])
        consumed = "__".join(parts[: position + 1])
        field = _field(current, part)
        if field is None:
            relation = current.relations.get(part)
            if relation is None:
                raise current.unknown(part, f"{what} ({name!r})" if part != name else what)
            if current.ancestors:
                hops.extend(current.chain_to(relation))
            hops.extend(relation.hops)
            if not rest or not continues_at(relation.target._meta, rest[0]):
                key = relation.key
                stored = key.target_field if isinstance(key, RelatedKey) else key
                return _path(info, consumed, tuple(hops), stored, key), rest
            current = relation.target._meta
        elif (
            isinstance(field, ForeignKey)
            and part != field.attname
            and rest
            and continues_at(field.target._meta, rest[0])
        ):
            if current.ancestors:
                hops.extend(current.chain_to(field))
            hops.append(field)
            current = field.target._meta
        else:
            if current.ancestors:
                hops.extend(current.chain_to(field))
            return _path(info, consumed, tuple(hops), field, field), rest


def split_name(info: ModelInfo, name: str) -> list[str]:
    """The parts of a name, which are separated by two underscores. A field's own name may end in one (``from_``)."""
    rest = name.split("__")
    parts: list[str] = []
    current: ModelInfo | None = info
    while rest:
        part = rest.pop(0)
        if current is not None and rest and not continues_at(current, part):
            if rest[0].startswith("_") and continues_at(current, f"{part}_"):  # from___name
                part, rest[0] = f"{part}_", rest[0][1:]
            elif f"{part}__{rest[0]}" in current.settable:  # The key of from_ is from__id.
                part = f"{part}__{rest.pop(0)}"
        parts.append(part)
        relation = current.accessors.get(part) or current.relations.get(part) if current is not None else None
        current = relation.target._meta if relation is not None else None
    return parts


def _field_of_part(info: ModelInfo, name: str, part: str | None, what: str) -> str:
    """The name of the field for a part of an embedded value, or for a model of a generic relation."""
    embedded = info.composed[name]
    if not isinstance(embedded, Embedded):
        return _foreign_key_of(info, name, part, what)
    if part not in embedded.names:
        named = f"has no part {part!r}" if part else "is a value of several columns"
        parts = ", ".join(f"{name}__{each}" for each in embedded.names)
        raise FieldError(f"{embedded.label} {named}, and was given as {what}: name a part, {parts}.")
    return embedded.names[part]


def _foreign_key_of(info: ModelInfo, name: str, model: str | None, what: str) -> str:
    """The name of a generic relation's foreign key to a model. Raises `FieldError` if it has none."""
    relation = info.composed[name]
    assert isinstance(relation, GenericForeignKey)
    if model not in relation.names:
        raise FieldError(
            f"{relation.label}, given as {what}, leads to one of several models: say which, "
            f"{', '.join(f'{name}__{each}' for each in relation.names)}."
        )
    return relation.names[model]


def relation_paths(info: ModelInfo, path: str, what: str) -> list[str]:
    """A path of relations with each generic relation replaced by one of its foreign keys.

    For a generic relation at the end, one path for each of its foreign keys. Raises `FieldError` for one in the middle
    that is not followed by a model's name.
    """
    parts = split_name(info, path)
    names: list[str] = []
    current: ModelInfo | None = info
    while parts:
        part = parts.pop(0)
        if current is not None and isinstance(current.composed.get(part), GenericForeignKey):
            if not parts:
                return ["__".join([*names, name]) for name in current.composed[part].field_names]
            part = _foreign_key_of(current, part, parts.pop(0), what)
        names.append(part)
        relation = current.accessors.get(part) if current is not None else None
        current = relation.target._meta if relation is not None else None
    return ["__".join(names)]


def continues_at(info: ModelInfo, part: str) -> bool:
    """Whether a path can continue with this name at a related model, so that the name is no lookup."""
    if part == "pk":
        return True
    return part in info.settable or part in info.relations


def relations_of(info: ModelInfo, names: Iterable[str]) -> list[str]:
    """The relations that these lookups span: ``team__org__name__in`` spans ``team__org``."""
    paths = [
        split_path(info, name, "a lookup")[0]
        for name in names
        if isinstance(info.fields.get(name.partition("__")[0]), ForeignKey)
    ]
    return [path.name.rpartition("__")[0] for path in paths if "__" in path.name]


def _field(info: ModelInfo, part: str) -> Field[Any] | None:
    if part == "pk":
        if len(info.pk_fields) > 1:
            names = ", ".join(field.name for field in info.pk_fields)
            raise FieldError(
                f"{info.name} has a composite primary key: 'pk' can be compared as a whole, "
                f"pk=(...), here name one of its fields ({names})."
            )
        return info.pk_fields[0]
    return info.fields.get(part) or info.by_attname.get(part)


def _path(info: ModelInfo, name: str, hops: tuple[Hop, ...], stored: Field[Any], field: Field[Any]) -> Path:
    known: Path | None = info.paths.get(name)
    if known is not None:
        return known
    # A foreign key holds the related row's key, so album__id is the column album.
    while hops and isinstance(hops[-1], (ForeignKey, CompositeForeignKey)):
        last = hops[-1]
        if (
            stored.model._meta.concrete is not last.target._meta.concrete
            or stored.column_name not in last.remote_columns
        ):
            break
        column = last.local_columns[last.remote_columns.index(stored.column_name)]
        stored, hops = last.model._meta.fields_of_columns([column])[0], hops[:-1]
    if len(info.paths) >= MAX_CACHED:
        info.paths.clear()
    path = info.paths[name] = Path(name, hops, stored, field)
    return path


def path_over(info: ModelInfo, hops: tuple[Hop, ...], rest: Path) -> Path:
    """A path of the model that these relations lead to, from `info`; always the same object.

    Unlike other paths, it keeps the last relation even if a foreign key has the same value without it.
    """
    known: Path | None = info.paths_over_joins.get((hops, rest))
    if known is None:
        if len(info.paths_over_joins) >= MAX_CACHED:
            info.paths_over_joins.clear()
        known = info.paths_over_joins[hops, rest] = Path(rest.name, (*hops, *rest.relations), rest.stored, rest.field)
    return known


def hops_over(info: ModelInfo, relations: Iterable[Any]) -> tuple[Hop, ...]:
    """The joins over a chain of relations, from the model's table: with parent links, in multi-table inheritance."""
    hops: tuple[Hop, ...] = ()
    for relation in relations:
        if info.ancestors:
            hops = with_chain(hops, info.chain_to(relation))
        hops = (*hops, relation)
        info = relation.target._meta
    return hops


def with_chain(hops: tuple[Hop, ...], chain: tuple[Hop, ...]) -> tuple[Hop, ...]:
    """Joins, and the parent links after them. A link back to the row that a join came from is no join."""
    while chain and hops and isinstance(hops[-1], ReverseRelation) and hops[-1].relation is chain[0]:
        hops, chain = hops[:-1], chain[1:]
    return (*hops, *chain)
