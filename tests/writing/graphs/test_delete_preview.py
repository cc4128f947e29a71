"""`collect_delete()`: its plan, compared with what the database then does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import databases
import pytest
from hypothesis import strategies as st

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from orm.registry import ModelRegistry
from tests.writing.graphs.models import Album, Artist, Category, Comment, Label, Line, Node, Order, Shop, Tag, Track
from tests.writing.graphs.test_create_graph import examples

pytestmark = pytest.mark.anyio

ACTIONS = (orm.CASCADE, orm.RESTRICT, orm.NO_ACTION, orm.SET_NULL, orm.SET_DEFAULT)


class RolledBack(Exception):
    """Ends a transaction to roll it back."""


@dataclass(frozen=True)
class Outcome:
    """What a DELETE did, in the terms of a plan. `refused`: it raised an error."""

    deleted: dict[str, int]
    set_null: dict[str, int]
    set_default: dict[str, int]
    refused: bool


async def rows_by_key(models: ModelRegistry) -> dict[type[orm.Model], dict[Any, dict[str, Any]]]:
    """The rows of all models, by model and primary key."""
    rows_of = {}
    for model in models.models.values():
        names = [field.attname for field in model._meta.fields.values()]
        rows = await model.objects.values(*names)
        rows_of[model] = {tuple(row[field.attname] for field in model._meta.pk_fields): row for row in rows}
    return rows_of


async def try_delete(queryset: orm.QuerySet[Any, Any], models: ModelRegistry) -> Outcome:
    """Delete, compare the rows before and after, and roll back."""
    before = await rows_by_key(models)
    try:
        async with models.database.transaction():
            try:
                async with models.database.transaction():
                    await queryset.delete()
            except orm.DatabaseError:
                return Outcome({}, {}, {}, True)
            after = await rows_by_key(models)
            raise RolledBack
    except RolledBack:
        pass
    changed: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for model, rows in after.items():
        for key, row in rows.items():
            for relation in model._meta.forward:
                if not isinstance(relation, orm.ForeignKey):
                    continue
                old, new = before[model][key][relation.attname], row[relation.attname]
                if old != new:
                    counts = changed[new is None and relation.on_delete != orm.SET_DEFAULT]
                    counts[relation.label] = counts.get(relation.label, 0) + 1
    deleted = {model.__name__: len(before[model]) - len(after[model]) for model in after}
    return Outcome({name: count for name, count in deleted.items() if count}, changed[True], changed[False], False)


async def check_plan(queryset: orm.QuerySet[Any, Any], models: ModelRegistry) -> orm.DeletePlan:
    """Assert that the plan of a DELETE agrees with what the DELETE does; returns the plan."""
    before = await rows_by_key(models)
    plan = await queryset.collect_delete()
    assert await rows_by_key(models) == before
    outcome = await try_delete(queryset, models)
    deleted = {model.__name__: count for model, count in plan.deleted.items()}
    assert bool(plan.refused) is outcome.refused, (plan, outcome)
    if plan.orphans:
        assert all(count <= deleted[name] for name, count in outcome.deleted.items()), (plan, outcome)
    elif not outcome.refused:
        assert (deleted, dict(plan.set_null), dict(plan.set_default)) == (
            outcome.deleted,
            outcome.set_null,
            outcome.set_default,
        )
    return plan


async def create_artists() -> Artist:
    """Create an artist with related rows of all kinds, and another one who shares some of them."""
    artist, other = await Artist.objects.create_graph(
        [
            {
                "name": "X",
                "albums": [
                    {
                        "name": f"A{i}",
                        "label": {"code": f"l{i}"},
                        "tracks": [{"title": f"T{j}", "comments": [{"text": "c"}]} for j in range(3)],
                        "comments": [{"text": "d"}],
                    }
                    for i in range(4)
                ],
                "tags": [{"name": "a"}, {"name": "b"}],
                "profile": {"bio": "b"},
            },
            {"name": "Y", "albums": [{"name": "B", "label": {"code": "kept"}, "tracks": [{"title": "T"}]}]},
        ]
    )
    await other.friends.add(artist)
    return artist


async def test_collect_delete_of_an_instance_counts_rows_by_model_in_few_queries(
    any_tables: databases.Database,
) -> None:
    artist = await create_artists()
    with orm.track_queries() as queries:
        plan = await artist.collect_delete()
    assert plan.deleted == {
        **dict.fromkeys([Artist], 1),
        Album: 4,
        Track: 12,
        Comment: 16,
        model_named("Profile"): 1,
        model_named("Artist_tags"): 2,
        model_named("Artist_friends"): 2,
    }
    assert plan.total == 38
    assert not (plan.set_null or plan.set_default or plan.refused)
    # The rows of the artist, and one for each of the ten relations that cascade; three are counted twice for orphans.
    leaves_orphans = (await dialect_of(any_tables)).leaves_orphans
    assert queries.count == (14 if leaves_orphans else 11)
    await check_plan(Artist.objects.filter(pk=artist.pk), world())
    assert await artist.delete() == 1
    assert await Artist.objects.count() == 1
    assert await Comment.objects.count() == 0 or leaves_orphans


def world() -> ModelRegistry:
    return Artist._meta.registry


def model_named(name: str) -> Any:
    """A model of the registry, including through models."""
    return world().models[name]


async def test_collect_delete_counts_rows_set_to_null_by_relation(any_tables: databases.Database) -> None:
    await create_artists()
    plan = await check_plan(Label.objects.filter(code__in=["l1", "l2", "kept"]), world())
    assert plan == orm.DeletePlan({Label: 3}, {"Album.label": 3})
    assert str(plan) == "delete 3 Label\nset Album.label to null in 3"
    assert str(orm.DeletePlan(refused={"Album.label": 2})) == "refused: blocked by Album.label in 2"


async def test_collect_delete_of_any_queryset_agrees_with_delete(any_tables: databases.Database) -> None:
    await create_artists()
    for queryset in (
        Artist.objects.all(),
        Artist.objects.filter(albums__tracks__title="T2"),
        Album.objects.filter(artist__name="X").exclude(name="A1"),
        Album.objects.annotate(n=orm.Count("tracks")).filter(n__gt=2),
        Tag.objects.order_by("-name"),
        Artist.objects.filter(pk__in=[]),
        Artist.objects.none(),
        Comment.objects.filter(subject_album__isnull=False),
    ):
        plan = await check_plan(queryset, world())
        assert plan.total == 0 or queryset.model in plan.deleted
    assert str(await Artist.objects.none().collect_delete()) == "nothing"


async def test_collect_delete_over_composite_keys_agrees_with_delete(any_tables: databases.Database) -> None:
    shop = await Shop.objects.create_graph(
        {"name": "S", "orders": [{"number": i, "lines": [{"text": "a"}, {"text": "b"}]} for i in range(3)]}
    )
    plan = await check_plan(Shop.objects.filter(pk=shop.pk), world())
    orphans = {"Line.order": 6} if (await dialect_of(any_tables)).leaves_orphans else {}
    assert plan == orm.DeletePlan({Shop: 1, Order: 3, Line: 6}, orphans=orphans)
    assert "left by the server: Line.order may reference nothing in 6" in str(plan) or not orphans
    assert await check_plan(Order.objects.filter(number__gt=0), world()) == orm.DeletePlan({Order: 2, Line: 4})


async def test_collect_delete_of_trees_and_cycles_agrees_with_delete(any_tables: databases.Database) -> None:
    row: dict[str, Any] = {"name": "x"}
    for _ in range(5):
        row = {"name": "x", "children": [row, {"name": "y"}]}
    root = await Category.objects.create_graph(row)
    plan = await check_plan(Category.objects.filter(pk=root.pk), world())
    assert plan.deleted == {Category: 11}
    first, second = Node(name="a"), Node(name="b")
    first.parent, second.parent = second, first
    await Node.objects.bulk_create([first, second])
    assert (await check_plan(Node.objects.filter(pk=first.pk), world())).deleted == {Node: 2}


@pytest.mark.parametrize("rows", [14, 15, 16])
async def test_collect_delete_of_a_cascade_too_deep_for_innodb_is_refused(tables: Database, rows: int) -> None:
    row: dict[str, Any] = {"name": "0"}
    for _ in range(rows - 1):
        row = {"name": "x", "children": [row]}
    await Category.objects.create_graph(row)
    plan = await check_plan(Category.objects.filter(parent=None), world())
    refuses = (await dialect_of(tables)).max_cascade_depth == 15 and rows > 15
    assert plan.refused == ({"Category.parent": 1} if refuses else {})


async def test_collect_delete_of_what_cannot_be_deleted_raises(tables: Database) -> None:
    with pytest.raises(orm.QueryError, match=r"collect_delete\(\) after a slice"):
        await Artist.objects.all()[:3].collect_delete()
    with pytest.raises(orm.QueryError, match=r"collect_delete\(\)"):
        await Artist.objects.values("name").collect_delete()
    with pytest.raises(orm.QueryError, match="no primary key"):
        await Artist(name="x").collect_delete()


async def test_collect_delete_uses_the_database_of_the_queryset_or_instance(tables: Database, tmp_path: Any) -> None:
    await Artist.objects.create(name="X")
    async with Database(f"sqlite:///{tmp_path}/other.db") as other:
        world().database = other
        await world().create_all()
        world().database = tables
        artist = await Artist.objects.using(other).create_graph({"name": "Y", "albums": [{"name": "A"}]})
        assert (await artist.collect_delete()).deleted == {Artist: 1, Album: 1}
        assert (await Artist.objects.using(other).all().collect_delete()).total == 2
        assert (await Artist.objects.all().collect_delete()).total == 1


# Small sets of models in which every action meets every other.


def declare_models(database: databases.Database, relations: list[tuple[int, int, str]]) -> ModelRegistry:
    """Declare the models M0 to M3 with these relations, each given as source, target and `on_delete`."""
    registry = ModelRegistry(database=database)
    for number in range(4):
        fields: dict[str, Any] = {"id": orm.Integer(primary_key=True)}
        for at, (source, target, action) in enumerate(relations):
            if source == number:
                default = {"server_default": "1"} if action == orm.SET_DEFAULT else {}
                fields[f"r{at}"] = orm.ForeignKey(
                    f"M{target}", allow_null=True, on_delete=action, related_name=f"back{at}", **default
                )
        type(orm.Model)(f"M{number}", (orm.Model,), {"registry": registry, "__module__": __name__, **fields})
    return registry


async def insert_rows(registry: ModelRegistry, rows: list[list[int | None]]) -> None:
    """Insert one row per model for each of `rows`, which has the foreign keys; those of missing rows become NULL."""
    for model in registry.models.values():
        nothing = {relation.attname: None for relation in model._meta.foreign_keys}
        await model.objects.bulk_create([{"pk": i + 1, **nothing} for i in range(len(rows))])
    for model in registry.models.values():
        names = [relation.attname for relation in model._meta.foreign_keys]
        if not names:
            continue
        changed = await model.objects.order_by("pk")
        for i, instance in enumerate(changed):
            for at, name in enumerate(names):
                key = rows[i][at % len(rows[i])]
                setattr(instance, name, key if key is None or key <= len(rows) else None)
        await model.objects.bulk_update(changed, names)


async def check_world(
    database: databases.Database, relations: list[tuple[int, int, str]], rows: list[list[int | None]], keys: list[int]
) -> orm.DeletePlan:
    """Check the plan of deleting these keys of M0, with these relations and rows."""
    registry = declare_models(database, relations)
    await registry.create_all()
    try:
        await insert_rows(registry, rows)
        plan = await check_plan(registry.models["M0"].objects.filter(pk__in=keys), registry)
        for model in registry.models.values():
            if model._meta.foreign_keys:
                await model.objects.update(**{relation.name: None for relation in model._meta.foreign_keys})
        return plan
    finally:
        await registry.drop_all()


@pytest.mark.parametrize("action", [orm.RESTRICT, orm.NO_ACTION])
@pytest.mark.parametrize("blocked", ["start", "middle"])
@pytest.mark.parametrize("first", [1, 2])
async def test_collect_delete_with_blocking_rows_deleted_as_well_agrees_with_delete(
    database: Database, action: str, blocked: str, first: int
) -> None:
    """M2 references M0, and M1, which references M0. It is deleted along with one of them, and blocks the other."""
    to_start, to_middle = (action, orm.CASCADE) if blocked == "start" else (orm.CASCADE, action)
    second = 3 - first
    relations = [(first, 0, orm.CASCADE), (second, 0, to_start), (second, first, to_middle)]
    plan = await check_world(database, relations, [[1]], [1])
    dialect = await dialect_of(database)
    outcome = "mysql without InnoDB" if dialect.leaves_orphans else dialect.name, action, blocked, first
    assert (
        bool(plan.refused)
        is {
            ("postgresql", "start"): True,
            ("postgresql", "middle"): False,
            ("sqlite", "start"): action == orm.RESTRICT,
            ("sqlite", "middle"): False,
            ("mariadb", "start"): first == 2,
            ("mariadb", "middle"): first == 1,
            ("mysql", "start"): first == 2,
            ("mysql", "middle"): first == 1,
            ("mysql without InnoDB", "start"): False,
            ("mysql without InnoDB", "middle"): True,
        }[outcome[0], blocked]
    ), outcome


@pytest.mark.parametrize("action", [orm.RESTRICT, orm.NO_ACTION, orm.SET_NULL])
async def test_collect_delete_executes_the_delete_only_if_blocking_rows_are_deleted_as_well(
    database: Database, action: str
) -> None:
    registry = declare_models(database, [(1, 0, orm.CASCADE), (2, 0, action), (2, 1, orm.CASCADE)])
    await registry.create_all()
    m0, m2 = registry.models["M0"], registry.models["M2"]
    await insert_rows(registry, [[1], [2]])

    def deletes(queries: orm.QueryTracker) -> list[str]:
        return [query.sql for query in queries if query.sql.startswith("DELETE")]

    async with database.transaction():
        with orm.track_queries() as queries:
            await m0.objects.filter(pk=1).collect_delete()
        assert len(deletes(queries)) == (0 if action == orm.SET_NULL else 1)
        # The transaction can still be used, and nothing is deleted.
        assert await m0.objects.count() == await m2.objects.count() == 2
    await m2.objects.filter(pk=1).update(r1=2, r2=2)
    with orm.track_queries() as queries:
        plan = await m0.objects.filter(pk=1).collect_delete()
    assert not deletes(queries) and not plan.refused
    await m0.objects.filter(pk=1).delete()
    await registry.drop_all()


@pytest.mark.parametrize("action", ACTIONS)
async def test_collect_delete_of_rows_that_reference_themselves_agrees_with_delete(
    database: Database, action: str
) -> None:
    await check_world(database, [(0, 0, action)], [[1], [1], [3]], [1])
    await check_world(database, [(0, 0, action)], [[1], [1], [3]], [1, 2])


@pytest.mark.parametrize("action", ACTIONS)
async def test_collect_delete_with_referencing_rows_that_stay_agrees_with_delete(
    database: Database, action: str
) -> None:
    plan = await check_world(database, [(1, 0, action)], [[None], [2], [3], [3]], [2, 3])
    acted = {orm.CASCADE: plan.deleted, orm.SET_NULL: plan.set_null, orm.SET_DEFAULT: plan.set_default}
    without_default = action == orm.SET_DEFAULT and not (await dialect_of(database)).supports_set_default
    affected: Any = plan.refused if without_default else acted.get(action, plan.refused)
    assert 3 in affected.values()
    plan = await check_world(database, [(1, 0, action)], [[2], [2]], [1, 2])
    assert bool(plan.refused) is (action in (orm.RESTRICT, orm.NO_ACTION, orm.SET_DEFAULT))


def worlds() -> st.SearchStrategy[Any]:
    """Relations, rows, and keys to delete."""
    action = st.sampled_from([orm.CASCADE, *ACTIONS, orm.CASCADE])
    source, target = st.sampled_from([2, 1, 3, 0]), st.sampled_from([0, 1, 2, 0, 3])
    key = st.sampled_from([2, 1, 3, None, 4])
    row = st.lists(key, min_size=3, max_size=3)
    return st.tuples(
        st.lists(st.tuples(source, target, action), min_size=3, max_size=6),
        st.lists(row, min_size=3, max_size=4),
        st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True),
    )


async def test_collect_delete_in_random_models_agrees_with_delete(database: Database) -> None:
    refused = 0
    for relations, rows, keys in examples(worlds(), 60):
        try:
            plan = await check_world(database, relations, rows, keys)
        except AssertionError as error:
            raise AssertionError(f"{relations} {rows} {keys}") from error
        refused += bool(plan.refused)
    assert 10 < refused < 50
