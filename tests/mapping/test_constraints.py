"""Each index, constraint and option on each database: made, reflected, violated on purpose, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy
from alembic import autogenerate
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import mysql, postgresql

import orm
from orm import migrations
from orm.database.connections.database import Database
from orm.database.connections.ddl import statements
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect_registry import dialects
from orm.functions import Abs, Coalesce, Lower
from orm.migrations import connect

pytestmark = pytest.mark.anyio

ALL = frozenset({"sqlite", "postgresql", "mysql", "mariadb"})
WITH_PARTIAL_INDEXES = frozenset({"sqlite", "postgresql"})
POSTGRESQL = frozenset({"postgresql"})
ROW = {"album": 1, "position": 1, "code": "a", "note": "n"}


@dataclass(frozen=True)
class Case:
    """One index or constraint, where it can be made, and rows that show what it does."""

    declared: Any
    made_on: frozenset[str] = ALL
    taken: tuple[Mapping[str, Any], ...] = ()
    """The differences to `ROW`, which is there, of rows that can be inserted."""
    refused: tuple[Mapping[str, Any], ...] = ()
    """Those of rows that cannot."""
    error: type[orm.IntegrityError] = orm.UniqueViolation
    fields: tuple[str, ...] = ()
    message: str = ""
    code: str = "unique"
    reason: str = ""
    """What the other databases say."""
    reflected: Mapping[str, Any] = field(default_factory=dict)


#: SQLAlchemy 2.0.16 and newer.
HAS_NULLS_NOT_DISTINCT = "nulls_not_distinct" in postgresql.dialect.construct_arguments[0][1]
F, Q = orm.F, orm.Q


CASES: dict[str, Case] = {
    "index": Case(orm.Index("album", "-position", name="it"), taken=({},)),
    "index, default name": Case(orm.Index("album", "position"), taken=({},)),
    "index of an expression": Case(orm.Index(Lower("code"), name="it"), taken=({},)),
    "index of an expression, descending": Case(orm.Index(Lower("code").desc(), "album", name="it"), taken=({},)),
    "index of an expression, default name": Case(orm.Index(Abs("album") + F("position")), taken=({},)),
    "index with a condition": Case(
        orm.Index("album", condition=Q(position__gt=3), name="it"),
        WITH_PARTIAL_INDEXES,
        taken=({},),
        reason="no partial indexes: leave out condition=",
    ),
    "index with include": Case(
        orm.Index("album", include=["code"], name="it"), POSTGRESQL, taken=({},), reason="no include=: add these fields"
    ),
    "index with an operator class": Case(
        orm.Index("code", opclasses=["varchar_pattern_ops"], name="it"),
        POSTGRESQL,
        taken=({},),
        reason="no operator classes",
    ),
    "index, brin": Case(
        orm.Index("album", using="brin", name="it"), POSTGRESQL, taken=({},), reason="no index of the kind 'brin'"
    ),
    "index, btree": Case(orm.Index("album", using="btree", name="it"), taken=({},)),
    "index, fulltext": Case(
        orm.Index("code", using="fulltext", name="it", databases=["mysql", "mariadb"]),
        frozenset({"mysql", "mariadb"}),
        taken=({},),
    ),
    "index, concurrently": Case(orm.Index("album", concurrently=True, name="it"), taken=({},)),
    "unique index": Case(
        orm.Index("album", "position", unique=True, name="it"),
        taken=({"position": 2},),
        refused=({},),
        fields=("album", "position"),
        message="Track with this album and position already exists.",
    ),
    "unique": Case(
        orm.UniqueConstraint("album", "position", name="it"),
        taken=({"position": 2}, {"note": "x", "album": 3}),
        refused=({"code": "b"},),
        fields=("album", "position"),
        message="Track with this album and position already exists.",
    ),
    "unique, default name, own message": Case(
        orm.UniqueConstraint("code", message="This code is taken.", code="taken"),
        taken=({"code": "A"}, {"code": "a "}),
        refused=({"album": 4},),
        fields=("code",),
        message="This code is taken.",
        code="taken",
    ),
    "unique, null": Case(
        orm.UniqueConstraint("note"),
        taken=({"note": None}, {"note": None}),
        refused=({},),
        fields=("note",),
        message="Track with this note already exists.",
    ),
    "unique expression": Case(
        orm.UniqueConstraint(Lower("code")),
        taken=({"code": "b"},),
        refused=({"code": "A"}, {"code": "B"}),
        fields=("code",),
        message="Track with this code already exists.",
    ),
    "unique expressions of several fields": Case(
        orm.UniqueConstraint(Lower("code"), Lower("title"), "album", name="it"),
        taken=({"title": "b"}, {"code": "ab"}, {"title": "b", "album": 2}),
        refused=({"code": "A", "title": "B"},),
        fields=("code", "title", "album"),
        message="Track with this code, title and album already exists.",
    ),
    "unique with a condition": Case(
        orm.UniqueConstraint("album", condition=Q(position__lt=5)),
        taken=({"position": 5}, {"position": 6}, {"album": 2, "position": 6}),
        refused=({"position": 3},),
        fields=("album",),
        message="Track with this album already exists.",
    ),
    "unique with a condition on text, null and a list": Case(
        orm.UniqueConstraint("album", "code", condition=Q(note__startswith="n%'") | Q(note=None) | Q(position__in=[1])),
        taken=({"note": "n", "position": 3}, {"note": None, "album": 3}, {"note": "n%'", "album": 4, "position": 2}),
        refused=({"note": None}, {"note": "n%'s"}, {"note": "n%'", "album": 3, "position": 2}),
        fields=("album", "code"),
        message="Track with this album and code already exists.",
    ),
    "unique expression with a condition": Case(
        orm.UniqueConstraint(Lower("code"), condition=Q(position=1), name="it"),
        taken=({"position": 2, "code": "A"},),
        refused=({"code": "A"},),
        fields=("code",),
        message="Track with this code already exists.",
    ),
    "unique, nulls not distinct": Case(
        orm.UniqueConstraint("album", "note", nulls_distinct=False, name="it"),
        POSTGRESQL,
        taken=({"note": None},),
        refused=({"note": None}, {}),
        fields=("album", "note"),
        message="Track with this album and note already exists.",
        reason="NULLs always differ",
    ),
    "unique, nulls not distinct by an expression": Case(
        orm.UniqueConstraint(Coalesce("note", orm.Value(""))),
        taken=({"note": None},),
        refused=({"note": None},),
        fields=("note",),
        message="Track with this note already exists.",
    ),
    "unique with include": Case(
        orm.UniqueConstraint("album", include=["code"], name="it"),
        POSTGRESQL,
        taken=({"album": 2},),
        refused=({"code": "z"},),
        fields=("album",),
        message="Track with this album already exists.",
        reason="no include=",
    ),
    "unique, deferred": Case(
        orm.UniqueConstraint("album", deferrable="deferred", name="it"),
        POSTGRESQL,
        taken=({"album": 2},),
        refused=({},),
        fields=("album",),
        message="Track with this album already exists.",
        reason="no deferrable=",
    ),
    "check": Case(
        orm.CheckConstraint(Q(position__gt=0) & Q(position__lt=10), name="it"),
        taken=({"position": 9},),
        refused=({"position": 0}, {"position": 10}),
        error=orm.CheckViolation,
        fields=("position",),
        message="The constraint it is violated.",
        code="check",
    ),
    "check, default name, own message": Case(
        orm.CheckConstraint(F("album") >= F("position"), message="There is no such position."),
        taken=({"album": 2, "position": 2},),
        refused=({"position": 2},),
        error=orm.CheckViolation,
        fields=("album", "position"),
        message="There is no such position.",
        code="check",
    ),
    "check of text and lists": Case(
        orm.CheckConstraint(
            Q(code__startswith="a") | Q(code__in=["x'y", "%s", ":z"]) | Q(code__icontains="q!"), name="it"
        ),
        taken=({"code": "x'y"}, {"code": "%s"}, {"code": ":z"}, {"code": "XQ!"}),
        refused=({"code": "A"}, {"code": "%"}),
        error=orm.CheckViolation,
        fields=("code",),
        message="The constraint it is violated.",
        code="check",
    ),
    "check of a null": Case(
        orm.CheckConstraint(~Q(note=None) | Q(album=2), name="it"),
        taken=({"note": None, "album": 2},),
        refused=({"note": None},),
        error=orm.CheckViolation,
        fields=("note", "album"),
        message="The constraint it is violated.",
        code="check",
    ),
    "check in SQL": Case(
        orm.CheckConstraint("position_number > 0 AND code <> 'it''s 100%'", name="it"),
        refused=({"position": 0}, {"code": "it's 100%"}),
        error=orm.CheckViolation,
        fields=("position", "code"),
        message="The constraint it is violated.",
        code="check",
    ),
    "check in SQL, default name": Case(
        orm.CheckConstraint("album > 0"),
        refused=({"album": 0},),
        error=orm.CheckViolation,
        fields=("album",),
        message="The constraint track_album_6c1d6c26_check is violated.",
        code="check",
    ),
    "exclusion": Case(
        # Without an extension, a GiST index has no operators of numbers.
        orm.ExclusionConstraint(("album", "="), ("position", "="), using="btree", name="it"),
        POSTGRESQL,
        taken=({"album": 2}, {"position": 5}),
        refused=({},),
        fields=("album", "position"),
        message="Track conflicts with another in album and position.",
        code="exclusion",
        reason="no exclusion constraints",
    ),
    "exclusion with a condition": Case(
        orm.ExclusionConstraint(
            ("album", "="),
            condition=Q(position__lt=5),
            using="hash",
            message="Taken.",
            databases=["postgresql"],
            name="it",
        ),
        POSTGRESQL,
        taken=({"position": 5},),
        refused=({"position": 2},),
        fields=("album",),
        message="Taken.",
        code="exclusion",
    ),
}


def track_with(database: Database, declared: Any) -> Any:
    models = orm.ModelRegistry(database=database)

    class Track(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        album = orm.Integer()
        position = orm.Integer(column="position_number")
        code = orm.String(max_length=20, trim_whitespace=False)
        title = orm.String(max_length=20, allow_blank=True, default="")
        note = orm.String(max_length=20, allow_null=True)

        class Meta:
            constraints = [] if isinstance(declared, orm.Index) else [declared]
            indexes = [declared] if isinstance(declared, orm.Index) else []

    return Track


async def reflected_names(database: Database) -> set[str | None]:
    """The names of all indexes and constraints of the table, as the database reports them."""

    def read(connection: sqlalchemy.Connection) -> set[str | None]:
        inspector = sqlalchemy.inspect(connection)
        found = [*inspector.get_indexes("track"), *inspector.get_unique_constraints("track")]
        return {item["name"] for item in [*found, *inspector.get_check_constraints("track")]}

    if database.url.dialect == "sqlite":
        # SQLAlchemy does not reflect the indexes of expressions there.
        rows = await database.fetch_all("SELECT name FROM sqlite_master WHERE type = 'index'")
        names = {row[0] for row in rows}
    elif database.url.dialect == "postgresql":
        rows = await database.fetch_all("SELECT conname FROM pg_constraint WHERE contype = 'x'")
        names = {row[0] for row in rows}
    else:
        names = set()
    async with connect(database.url) as connection:
        result: set[str | None] = await connection.run_sync(read)
        return result | names


async def migrate(database: Database, metadata: sqlalchemy.MetaData) -> None:
    """Make what `metadata` has and the database has not by a migration, and expect the next one to be empty."""

    def written(connection: sqlalchemy.Connection) -> tuple[MigrationContext, str]:
        options = {
            "target_metadata": metadata,
            "compare_type": migrations.compare_type,
            "compare_server_default": migrations.compare_server_default,
            "render_item": migrations.render_item,
            "sqlalchemy_module_prefix": "sa.",
            "alembic_module_prefix": "op.",
            "user_module_prefix": None,
        }
        context = MigrationContext.configure(connection, opts=options)
        script = autogenerate.produce_migrations(context, metadata)
        migrations.process_revision_directives(context, (), [script])
        assert script.upgrade_ops is not None
        source = autogenerate.render_python_code(
            script.upgrade_ops,
            render_as_batch=True,
            render_item=migrations.render_item,
            migration_context=context,
        )
        return context, source

    def run(connection: sqlalchemy.Connection) -> str:
        context, source = written(connection)
        names: dict[str, Any] = {"op": Operations(context), "sa": sqlalchemy, "postgresql": postgresql, "mysql": mysql}
        exec(f"def upgrade():\n{source}", names)
        with context.begin_transaction():
            names["upgrade"]()
        connection.commit()
        return written(connection)[1]

    async with connect(database.url) as connection:
        again = await connection.run_sync(run)
    assert "op." not in again, again


WAYS = ("create_all", "migration of a new table", "migration of an existing table")


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
async def test_each_constraint_is_made_and_enforced_or_refused(database: Database, name: str, way: str) -> None:
    case = CASES[name]
    if getattr(case.declared, "nulls_distinct", None) is False and not HAS_NULLS_NOT_DISTINCT:
        with pytest.raises(orm.FieldError, match="nulls_not_distinct"):
            track_with(database, case.declared)
        return
    Track = track_with(database, case.declared)
    server = (await dialect_of(database)).name
    [bound] = Track._meta.constraints
    if server not in case.made_on and not case.declared.databases:
        with pytest.raises(orm.NotSupportedError, match=case.reason) as refused:
            if way == "create_all":
                await Track.registry.create_all()
            else:
                await migrate(database, Track.registry.metadata)
        assert str(bound.item.name) in str(refused.value) and "databases=" in str(refused.value)
        return
    if way == "create_all":
        await Track.registry.create_all()
    else:
        if way == "migration of an existing table":
            await track_with(database, orm.Index("title", name="another")).registry.create_all()
        await migrate(database, Track.registry.metadata)
    expected = bound.item.name
    names = await reflected_names(database)
    if server not in case.made_on:
        assert expected not in names
        return
    assert expected is not None and str(expected) in names
    await Track.objects.create(**ROW)
    for row in case.taken:
        await Track(**{**ROW, **row}).full_clean()
        await Track.objects.create(**{**ROW, **row})
    for row in case.refused:
        before = await Track.objects.count()
        with pytest.raises(orm.ValidationError) as foreseen:
            await Track(**{**ROW, **row}).full_clean()
        with pytest.raises(case.error) as violated:
            await Track.objects.create(**{**ROW, **row})
        error = violated.value
        assert (error.constraint, error.model, error.fields) == (expected, Track, case.fields)
        shown = error.as_validation_error()
        assert dict(shown) == dict.fromkeys(case.fields, case.message)
        assert shown == foreseen.value
        assert {message.code for message in shown.messages()} == {case.code}
        assert await Track.objects.count() == before


def declare(table: str = "track", **options: Any) -> Any:
    names: dict[str, Any] = {"registry": orm.ModelRegistry(), "Meta": type("Meta", (), {"tablename": table, **options})}
    fields = {"album": orm.Integer(), "code": orm.String(max_length=10), "data": orm.JSON(default=dict)}
    return type("Track", (orm.Model,), {**names, **fields})


def names_of(**options: Any) -> list[str]:
    return [str(bound.item.name) for bound in declare(**options)._meta.constraints]


def test_default_names_are_the_same_in_each_run_and_differ_by_definition() -> None:
    declared = [
        orm.UniqueConstraint("album", condition=Q(code="a")),
        orm.UniqueConstraint("album", condition=Q(code="b")),
        orm.UniqueConstraint(Lower("code"), "album"),
        orm.CheckConstraint(Q(album__gt=1)),
    ]
    names = names_of(constraints=declared)
    assert names == [
        "track_album_a7ec2b61_key",
        "track_album_e629054b_key",
        "track_code_album_2937999b_key",
        "track_album_bffba63c_check",
    ]
    assert names_of(indexes=[orm.Index(Lower("code"))]) == ["track_code_6cdc9b69_idx"]


def test_default_name_for_a_long_table_name_fits_every_server() -> None:
    for name in names_of(
        table="t" * 70, constraints=[orm.CheckConstraint(Q(album__gt=1))], indexes=[orm.Index(Lower("code"))]
    ):
        assert len(name) <= 60
        assert name.endswith(("_check", "_idx"))


def test_name_of_an_abstract_models_constraint_names_the_class() -> None:
    class Base(orm.Model):
        registry = orm.ModelRegistry()
        code = orm.String(max_length=10)

        class Meta:
            abstract = True
            constraints = [orm.UniqueConstraint(Lower("code"), name="%(class)s_code")]

    class Track(Base):
        pass

    class Album(Base):
        pass

    assert [model._meta.constraints[0].item.name for model in (Track, Album)] == ["track_code", "album_code"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: orm.Index(), "names of the fields to index"),
        (lambda: orm.Index(3), "got int"),
        (lambda: orm.Index("album", nulls_distinct=False), "add unique=True"),
        (lambda: orm.Index("album", "code", opclasses=["x"]), "one name for each"),
        (lambda: orm.Index("album", databases=["oracle"]), "'oracle' is not one of the databases"),
        (lambda: orm.UniqueConstraint("album", condition="a = 3"), "A condition is"),
        (lambda: orm.UniqueConstraint(Lower("code"), deferrable="deferred"), "fields alone can be deferred"),
        (lambda: orm.UniqueConstraint("album", deferrable="later"), '"deferred" or "immediate"'),
        (lambda: orm.CheckConstraint(3), "A condition is"),
        (lambda: orm.ExclusionConstraint("album"), "takes pairs"),
        (lambda: orm.ExclusionConstraint(("album", "= 1); DROP")), "is an operator"),
    ],
)
def test_invalid_declaration_raises(make: Any, message: str) -> None:
    with pytest.raises((orm.FieldError, orm.QueryError), match=message):
        make()


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (orm.UniqueConstraint(Lower("cod")), "Did you mean 'code'"),
        (orm.UniqueConstraint("album", condition=Q(cod="x")), "Did you mean 'code'"),
        (orm.UniqueConstraint("album", include=["cod"]), "Did you mean 'code'"),
        (orm.CheckConstraint(Q(cod="x")), "Did you mean 'code'"),
        (orm.ExclusionConstraint(("cod", "=")), "Did you mean 'code'"),
        (orm.CheckConstraint(Q(parent__code="x")), "reads other rows"),
        (orm.UniqueConstraint(F("parent__code")), "reads other rows"),
        (orm.UniqueConstraint("parent__code"), "has no field 'parent__code'"),
        (orm.CheckConstraint(sqlalchemy.literal(1) > 0), "needs a name="),
    ],
)
def test_invalid_constraint_of_a_model_raises_and_the_model_is_not_declared(declared: Any, message: str) -> None:
    models = orm.ModelRegistry()
    with pytest.raises(orm.FieldError, match=message):

        class Track(orm.Model):
            registry = models
            code = orm.String(max_length=10)
            album = orm.Integer()
            parent = orm.ForeignKey("Track", allow_null=True)

            class Meta:
                constraints = [declared]

    assert not models.models and not models.metadata.tables


def test_two_constraints_of_one_name_are_refused() -> None:
    with pytest.raises(orm.FieldError, match="two are called 'x'"):
        declare(constraints=[orm.CheckConstraint(Q(album=1), name="x"), orm.UniqueConstraint("album", name="x")])


def test_an_index_of_unlimited_text_is_refused_by_mariadb_with_what_to_write() -> None:
    Note = type(
        "Note",
        (orm.Model,),
        {
            "registry": orm.ModelRegistry(),
            "text": orm.Text(),
            "Meta": type("Meta", (), {"indexes": [orm.Index(Lower("text"), name="by_text")]}),
        },
    )
    from_metadata: Any = Note.registry.metadata
    with pytest.raises(orm.FieldError, match=r"use orm\.String\(max_length=…\)"):
        statements(dialects["mariadb"], from_metadata, [*from_metadata.tables.values()], create=True)


async def test_checks_of_keys_of_documents_refuse_others(database: Database) -> None:
    models = orm.ModelRegistry(database=database)
    of_a_kind = orm.CheckConstraint(orm.Q(data__kind="é'x"), name="of_a_kind")
    large_enough = orm.CheckConstraint(orm.Q(data__size__n__gt=3), name="large_enough")
    if (await dialect_of(database)).name == "mysql":
        large_enough = of_a_kind  # MySQL takes the comparison for no boolean

    class Measure(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        data = orm.JSON(default=dict)

        class Meta:
            constraints = [*dict.fromkeys([of_a_kind, large_enough])]

    await models.create_all()
    await Measure.objects.create(data={"kind": "é'x", "size": {"n": 4}})
    for data in ({"kind": "x", "size": {"n": 4}}, {"kind": "é'x", "size": {"n": 3}}):
        if data["kind"] == "x" or large_enough is not of_a_kind:
            with pytest.raises(orm.IntegrityError) as caught:
                await Measure.objects.create(data=data)
            assert caught.value.constraint == ("of_a_kind" if data["kind"] == "x" else "large_enough")
            assert caught.value.fields == ("data",)
