"""Random rows and random shapes: a graph is what queries for each single instance build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

import orm
from orm.database.connections.database import Database
from tests.loading.graphs.loaded_values import assert_one_instance_each, loaded

models = orm.ModelRegistry()


class Person(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    rank = orm.Integer(allow_null=True)
    mentor: Any = orm.ForeignKey("Person", allow_null=True, related_name="pupils")
    follows: Any = orm.ManyToMany("self", symmetrical=False, related_name="followers")
    friends: Any = orm.ManyToMany("self")


class Card(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    rank = orm.Integer(allow_null=True)
    holder: Any = orm.OneToOne(Person, allow_null=True, related_name="card")


class Work(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    rank = orm.Integer(allow_null=True)
    code = orm.String(max_length=5, unique=True)
    author: Any = orm.ForeignKey(Person, allow_null=True, related_name="works")
    sequel: Any = orm.OneToOne("Work", allow_null=True, related_name="prequel")
    tags: Any = orm.ManyToMany("Tag", related_name="works")


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    rank = orm.Integer(allow_null=True)
    work: Any = orm.ForeignKey(Work, to_field="code", allow_null=True, related_name="notes")
    writer: Any = orm.ForeignKey(Person, related_name="notes")


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    rank = orm.Integer(allow_null=True)


MODELS: tuple[type[orm.Model], ...] = (Person, Card, Work, Note, Tag)
SIZE = 5
keys = st.integers(1, SIZE)
ranks = st.none() | st.integers(0, 2)
pairs = st.sets(st.tuples(keys, keys), max_size=8)
Rows = Mapping[str, Any]


@st.composite
def worlds(draw: st.DrawFn) -> Rows:
    """The values of every row, by model; and the pairs of the relations to many."""

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=SIZE, max_size=SIZE))

    def once() -> list[Any]:
        """Keys of which none comes twice."""
        chosen = draw(st.permutations(range(1, SIZE + 1)))
        return [key if used else None for key, used in zip(chosen, column(st.booleans()), strict=True)]

    return {
        "person": list(zip(column(ranks), column(st.none() | keys), strict=True)),
        "card": list(zip(column(ranks), once(), strict=True)),
        "work": list(zip(column(ranks), column(st.none() | keys), once(), strict=True)),
        "note": list(zip(column(ranks), column(st.none() | keys), column(keys), strict=True)),
        "tag": column(ranks),
        "follows": draw(pairs),
        "friends": {(a, b) for a, b in draw(pairs) if a < b},
        "tags": draw(pairs),
    }


async def replace_rows(rows: Rows) -> None:
    """These rows, instead of those that are there."""
    await Note.objects.all().delete()
    await Card.objects.all().delete()
    for model, name in ((Work, "tags"), (Person, "follows"), (Person, "friends")):
        await model._meta.many_to_many[name].through_model.objects.all().delete()
    await Work.objects.all().update(sequel=None)
    await Work.objects.all().delete()
    await Person.objects.all().update(mentor=None)
    await Person.objects.all().delete()
    await Tag.objects.all().delete()

    await Tag.objects.bulk_create({"id": i, "rank": rank} for i, rank in enumerate(rows["tag"], 1))
    await Person.objects.bulk_create({"id": i, "rank": rank} for i, (rank, _) in enumerate(rows["person"], 1))
    await Person.objects.bulk_update(
        [Person(id=i, mentor=mentor) for i, (_, mentor) in enumerate(rows["person"], 1)], ["mentor"]
    )
    await Card.objects.bulk_create({"id": i, "rank": r, "holder": h} for i, (r, h) in enumerate(rows["card"], 1))
    await Work.objects.bulk_create(
        {"id": i, "rank": r, "code": f"w{i}", "author": a} for i, (r, a, _) in enumerate(rows["work"], 1)
    )
    await Work.objects.bulk_update([Work(id=i, sequel=s) for i, (_, _, s) in enumerate(rows["work"], 1)], ["sequel"])
    await Note.objects.bulk_create(
        {"id": i, "rank": r, "work": w and f"w{w}", "writer": p} for i, (r, w, p) in enumerate(rows["note"], 1)
    )
    through: Any = Work._meta.many_to_many["tags"].through_model
    await through.objects.bulk_create({"work": a, "tag": b} for a, b in sorted(rows["tags"]))
    through = Person._meta.many_to_many["follows"].through_model
    await through.objects.bulk_create({"from_person": a, "to_person": b} for a, b in sorted(rows["follows"]))
    through = Person._meta.many_to_many["friends"].through_model
    both = sorted({pair for a, b in rows["friends"] for pair in ((a, b), (b, a))})
    await through.objects.bulk_create({"from_person": a, "to_person": b} for a, b in both)


#: What narrows a relation: lookups, an order (its key comes last), and a limit. Some go across relations themselves.
FILTERS: dict[type[orm.Model], list[dict[str, Any]]] = {
    Person: [{"rank": 1}, {"rank__gte": 1}, {"mentor__rank": None}, {"works__rank__gte": 1}, {"id__lt": 4}],
    Card: [{"rank__gte": 1}, {"holder__rank": 2}],
    Work: [{"rank": None}, {"author__rank__gte": 1}, {"notes__rank__gte": 0}, {"tags__rank": 1}],
    Note: [{"rank__gte": 1}, {"work__author__rank": 1}, {"id__gt": 2}],
    Tag: [{"rank": 0}, {"works__rank__gte": 1}],
}
ORDERS: dict[type[orm.Model], list[str]] = {
    Person: ["rank", "-rank", "mentor__rank", "works__rank", "-id"],
    Card: ["-rank", "holder__rank"],
    Work: ["-rank", "author__rank", "-tags__rank", "-code"],
    Note: ["rank", "-work__rank"],
    Tag: ["-rank", "works__rank", "-id"],
}


@st.composite
def options(draw: st.DrawFn, model: type[orm.Model], *, many: bool) -> dict[str, Any]:
    """What is wanted of a relation's rows."""
    found: dict[str, Any] = {}
    kind = draw(st.sampled_from(["", "", "filter", "exclude"]))
    if kind:
        found[kind] = draw(st.sampled_from(FILTERS[model]))
    if many:
        if draw(st.booleans()):
            found["order_by"] = [draw(st.sampled_from(ORDERS[model])), "id"]
        if draw(st.booleans()):
            found["limit"] = draw(st.integers(0, 3))
    return found


def relations(model: type[orm.Model]) -> list[Any]:
    """The relations of a model that have a name."""
    return [relation for name, relation in model._meta.accessors.items() if not name.endswith("+")]


@st.composite
def shapes(draw: st.DrawFn, model: type[orm.Model], known: dict[Any, Any] | None, depth: int = 1) -> dict[str, Any]:
    """A shape, at most four relations deep. With `known`, the same relation is narrowed alike wherever it is."""
    chosen = draw(st.lists(st.sampled_from(relations(model)), max_size=3 if depth < 3 else 1, unique_by=id))
    found: dict[str, Any] = {}
    for relation in chosen:
        target = relation.target
        if known is None:
            wanted = draw(options(target, many=relation.many))
        else:
            # A relation to one that is narrowed would contradict the way back of the other side.
            name = (model, relation.accessor)
            if name not in known:
                known[name] = draw(options(target, many=True)) if relation.many else {}
            wanted = known[name]
        inner = draw(shapes(target, known, depth + 1)) if depth < 4 else {}
        found[relation.accessor] = {**wanted, **inner} or None
    return found


OPTIONS = ("filter", "exclude", "order_by", "limit")


async def build(row: Any, shape: Mapping[str, Any]) -> dict[str, Any]:
    """What the shape makes of an instance, by a query for each of its relations."""
    found = {name: row.__dict__[name] for name in row._meta.by_attname}
    for name, inner in shape.items():
        if name in OPTIONS:
            continue
        relation = row._meta.accessors[name]
        rows = await rows_of(row, relation, inner or {})
        built = [await build(each, inner or {}) for each in rows]
        found[name] = built if relation.many else (built or [None])[0]
    return found


async def rows_of(row: Any, relation: Any, wanted: Mapping[str, Any]) -> list[Any]:
    """The rows at the far end of one relation of one instance."""
    near, hop = row.__dict__, relation.hops[0]
    if len(relation.hops) == 2:
        query = relation.target.objects.filter(**{reverse_name(relation): row.pk})
    else:
        fields = {field.column_name: field for field in row._meta.fields.values()}
        key = near[fields[hop.local_columns[0]].attname]
        if key is None:
            return []
        there = {field.column_name: field for field in relation.target._meta.fields.values()}
        query = relation.target.objects.filter(**{there[hop.remote_columns[0]].attname: key})
    query = query.filter(**wanted.get("filter", {}))
    if "exclude" in wanted:
        query = query.exclude(**wanted["exclude"])
    rows = await query.order_by(*wanted.get("order_by", ["id"]))
    return rows[: wanted.get("limit")]


def reverse_name(relation: Any) -> str:
    """The name of a many-to-many relation, seen from the other side."""
    many = relation.relation
    if many.symmetrical:
        return str(many.name)
    return str(many.backward.name if relation is many.forward else many.forward.name)


def described(row: Any, shape: Mapping[str, Any]) -> dict[str, Any]:
    """What an instance has loaded of the shape."""
    found = {name: row.__dict__[name] for name in row._meta.by_attname}
    for name, inner in shape.items():
        if name not in OPTIONS:
            value = loaded(row, name)
            many = isinstance(value, list)
            found[name] = [described(each, inner or {}) for each in value] if many else None
            if not many and value is not None:
                found[name] = described(value, inner or {})
    return found


def comparable(value: Any, shape: Mapping[str, Any]) -> Any:
    """The description, in which lists without an order are sorted."""
    found = dict(value)
    for name, inner in shape.items():
        if name in OPTIONS or found[name] is None:
            continue
        inner = inner or {}
        if isinstance(found[name], list):
            rows = [comparable(each, inner) for each in found[name]]
            is_ordered = "order_by" in inner or "limit" in inner
            found[name] = rows if is_ordered else sorted(rows, key=lambda row: row["id"])
        else:
            found[name] = comparable(found[name], inner)
    return found


async def create(database: Database) -> None:
    models.database = database
    await models.create_all()


@st.composite
def cases(draw: st.DrawFn, *, alike: bool) -> tuple[Rows, type[orm.Model], dict[str, Any], int | None]:
    """Rows, a model, a shape of it, and how many of its rows to load."""
    model = draw(st.sampled_from(MODELS))
    shape = draw(shapes(model, {} if alike else None))
    return draw(worlds()), model, shape, draw(st.none() | st.integers(1, 3))


@settings(max_examples=50)
@given(case=cases(alike=True))
async def test_random_graph_loads_what_single_queries_build(database: Database, case: Any) -> None:
    rows, model, shape, sliced = case
    await create(database)
    await replace_rows(rows)
    query = model.objects.order_by("-rank", "id")[:sliced]
    found = await query.graph(shape)
    expected = [await build(row, shape) for row in await query]
    assert [comparable(described(row, shape), shape) for row in found] == [comparable(row, shape) for row in expected]
    assert_one_instance_each(found)


@settings(max_examples=50)
@given(case=cases(alike=False))
async def test_as_dicts_of_a_random_graph_is_what_single_queries_build(database: Database, case: Any) -> None:
    """Here the same relation may be filtered in different ways."""
    rows, model, shape, sliced = case
    await create(database)
    await replace_rows(rows)
    query = model.objects.order_by("-rank", "id")[:sliced]
    found = await query.graph(shape).as_dicts()
    expected = [await build(row, shape) for row in await query]
    assert [comparable(row, shape) for row in found] == [comparable(row, shape) for row in expected]
