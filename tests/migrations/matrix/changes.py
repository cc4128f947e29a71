"""The models before a change, their rows, and the changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MODELS = """
import datetime
import decimal
import enum
import uuid

import sqlalchemy

import orm

models = orm.ModelRegistry(database=orm.Database("sqlite://"))


class Mood(enum.Enum):
    good = "g"
    bad = "b"


class Author(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, unique=True)
    code = orm.Integer(unique=True)


class Book(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    author = orm.ForeignKey(Author, on_delete=orm.CASCADE)
    parent = orm.ForeignKey("Book", allow_null=True, on_delete=orm.SET_NULL, related_name="parts")
    title = orm.String(max_length=100, index=True)
    subtitle = orm.String(max_length=40, allow_null=True)
    pages = orm.Integer(default=1)
    small = orm.SmallInteger(default=1)
    numtext = orm.String(max_length=20, default="7")
    price = orm.Decimal(max_digits=8, decimal_places=2, default=1)
    published = orm.DateTime(allow_null=True)
    mood = orm.Enum(Mood, default=Mood.good)
    data = orm.JSON(default=dict)
    stock = orm.Integer(server_default="3")
    flag = orm.Boolean(default=False)
    # FIELDS

    class Meta:
        tablename = "book"
        indexes = [orm.Index("pages", "-price", name="ix_pages_price")]
        constraints = [
            orm.UniqueConstraint("author", "title"),
            orm.CheckConstraint("pages > 0", name="some_pages"),
        ]


class Chapter(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    book = orm.ForeignKey(Book, on_delete=orm.CASCADE)
    name = orm.String(max_length=30)


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)


# MORE
"""

BOOK = "id, author, parent, title, subtitle, pages, small, numtext, price, published, mood, data, stock, flag"
ROWS = (
    "INSERT INTO author (id, name, code) VALUES (1, 'Ann', 11), (2, 'Bob', 22)",
    "INSERT INTO tag (id, name) VALUES (1, 'x'), (2, 'y')",
    f"INSERT INTO book ({BOOK}) VALUES (1, 1, NULL, 'A', 's', 10, 3, '12', 123456.78, '2024-03-01 10:00:00', 'good', "
    "'{\"a\": 1}', 3, TRUE)",
    f"INSERT INTO book ({BOOK}) VALUES (2, 2, 1, 'B', NULL, 20, 4, '34', 2.50, NULL, 'bad', '{{\"a\": 2}}', 4, FALSE)",
    "INSERT INTO chapter (id, book, name) VALUES (1, 1, 'one'), (2, 2, 'two')",
)

#: What no model has: a table of another application, and a trigger that writes to it.
OTHERS = {
    "sqlite": (
        "CREATE TABLE log (id INTEGER PRIMARY KEY, n INTEGER)",
        "CREATE TRIGGER book_log AFTER DELETE ON book BEGIN INSERT INTO log (n) VALUES (old.id); END",
    ),
    "postgresql": (
        "CREATE TABLE log (id SERIAL PRIMARY KEY, n INTEGER)",
        "CREATE FUNCTION book_log() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO log (n) VALUES (old.id); RETURN old; END $$",
        "CREATE TRIGGER book_log AFTER DELETE ON book FOR EACH ROW EXECUTE FUNCTION book_log()",
    ),
    "mysql": (
        "CREATE TABLE log (id INTEGER PRIMARY KEY AUTO_INCREMENT, n INTEGER)",
        "CREATE TRIGGER book_log AFTER DELETE ON book FOR EACH ROW INSERT INTO log (n) VALUES (old.id)",
    ),
}

Edit = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """A change of the models.

    Attributes:
        edits: What is replaced in the text of the models.
        before: What is replaced before the change, too.
        rows: Statements after `ROWS`.
        one_off: The answer for required columns.
        renames: The answers for renames: of a table, or of ``table.column``, to its new name.
        members: The answers for stored values of enums.
        outcome: "changed", "nothing" if no database has anything to do, or "refused": with nothing changed.
        outcomes: Those of single databases, where they differ.
        lost: The columns and tables whose values go, because the change says so.
        values: What the values of a column become, by what they were, where it is not the same value.
        only: The databases that it is for.
    """

    name: str
    edits: tuple[Edit, ...] = ()
    before: tuple[Edit, ...] = ()
    rows: tuple[str, ...] = ()
    one_off: Any = None
    renames: dict[str, str] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    outcome: str = "changed"
    outcomes: dict[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    values: dict[str, dict[Any, Any]] = field(default_factory=dict)
    only: tuple[str, ...] = ("sqlite", "postgresql", "mariadb", "mysql")
    schemas: tuple[str | None, ...] = (None,)


def more(line: str) -> Edit:
    """Another field of Book."""
    return ("    # FIELDS\n", f"    {line}\n    # FIELDS\n")


def another(source: str) -> Edit:
    """More source after the models."""
    return ("# MORE\n", f"{source}\n# MORE\n")


ANY = ("sqlite", "postgresql", "mariadb", "mysql")
EXPRESSIONS = ("sqlite", "postgresql", "mysql")
SUBTITLE = "subtitle = orm.String(max_length=40, allow_null=True)"
PAGES = "pages = orm.Integer(default=1)"
SMALL = "small = orm.SmallInteger(default=1)"
NUMTEXT = 'numtext = orm.String(max_length=20, default="7")'
STOCK = 'stock = orm.Integer(server_default="3")'
PUBLISHED = "published = orm.DateTime(allow_null=True)"
ZONED = "published = orm.DateTime(timezone=True, allow_null=True)"
AUTHOR = "author = orm.ForeignKey(Author, on_delete=orm.CASCADE)"
DATA = "data = orm.JSON(default=dict)"
UNIQUE = '            orm.UniqueConstraint("author", "title"),\n'
CHECK = '            orm.CheckConstraint("pages > 0", name="some_pages"),\n'
INDEX = 'orm.Index("pages", "-price", name="ix_pages_price")'
TAG = """class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)
"""
BOOK_KEY = "class Book(orm.Model):\n    registry = models\n\n    id = orm.Integer(primary_key=True)"
CHAPTER = MODELS[MODELS.index("class Chapter") : MODELS.index("class Tag")]
PARTIAL = another(
    "sqlalchemy.Index('ix_part', Book.table.c.numtext, postgresql_where=sqlalchemy.text('pages > 5'), "
    "sqlite_where=sqlalchemy.text('pages > 5'))"
)
LOWER = another("sqlalchemy.Index('ix_low', sqlalchemy.func.lower(Book.table.c.numtext))")
DOUBLE = another(
    "Book.table.append_column(sqlalchemy.Column('double', sqlalchemy.Integer, "
    "sqlalchemy.Computed('pages * 2', persisted=True)))"
)
CYCLE = """
class Egg(orm.Model):
    registry = models

    hen = orm.ForeignKey("Hen", allow_null=True, related_name="eggs")


class Hen(orm.Model):
    registry = models

    egg = orm.ForeignKey(Egg, allow_null=True, related_name="hens")
"""
TAGS = more('tags = orm.ManyToMany("Tag", related_name="books")')
BOOK_TAG = "INSERT INTO book_tags (id, book, tag) VALUES (1, 1, 2)"
THROUGH = """
class BookTag(orm.Model):
    registry = models

    book = orm.ForeignKey(Book, on_delete=orm.CASCADE, related_name="+")
    tag = orm.ForeignKey(Tag, on_delete=orm.CASCADE, related_name="+")
    note = orm.String(max_length=9, allow_null=True)

    class Meta:
        tablename = "book_tags"
        constraints = [orm.UniqueConstraint("book", "tag")]
"""
COMMENT = """
class Comment(orm.Model):
    registry = models

    subject = orm.GenericForeignKey(Author, Book, on_delete=orm.CASCADE, related_name="comments")
"""
ORDER = """
class Order(orm.Model):
    registry = models

    group = orm.String(max_length=9, index=True)
    select = orm.Integer(allow_null=True, unique=True)
    to = orm.ForeignKey(Author, related_name="+")

    class Meta:
        tablename = "order"
        constraints = [orm.UniqueConstraint("group", "select")]
"""
BOOK_TEXT = """
class BookText(orm.Model):
    registry = models

    book = orm.OneToOne(Book, on_delete=orm.CASCADE, primary_key=True, related_name="text")
    subtitle = orm.String(max_length=40, allow_null=True)
"""
SHOP = """
class Shop(orm.Model):
    registry = models

    name = orm.String(max_length=9)
"""
UTC = {"2024-03-01 10:00:00": "2024-03-01 10:00:00+00:00"}

CHANGES = [
    Change("00 no change", outcome="nothing"),
    Change("01 add table", (another(SHOP),)),
    Change("02 drop table", ((CHAPTER, ""),), lost=("chapter",)),
    Change(
        "03 rename table",
        (('tablename = "book"', 'tablename = "volume"'),),
        renames={"book": "volume"},
    ),
    Change("04 add nullable column", (more("isbn = orm.String(max_length=13, allow_null=True)"),)),
    Change("05 add required column, answered", (more("isbn = orm.String(max_length=13)"),), one_off="it's 5%"),
    Change("05 add required column, unanswered", (more("isbn = orm.String(max_length=13)"),), outcome="refused"),
    Change("06 add required column with a default", (more("isbn = orm.String(max_length=13, default='-')"),)),
    Change(
        "07 add required column with a server default", (more("isbn = orm.String(max_length=13, server_default='-')"),)
    ),
    Change("08 add unique column", (more("isbn = orm.String(max_length=13, allow_null=True, unique=True)"),)),
    Change(
        "09 add auto_now_add",
        (more("made = orm.DateTime(timezone=True, auto_now_add=True)"),),
        one_off="2024-01-01T00:00:00+00:00",
    ),
    Change("10 drop column", ((f"    {SUBTITLE}\n", ""),), lost=("book.subtitle",)),
    Change(
        "11 drop column in index and check",
        ((f"    {PAGES}\n", ""), (INDEX, ""), (CHECK, "")),
        one_off=1,
        lost=("book.pages",),
    ),
    Change(
        "12 rename column",
        (("subtitle = orm.String", "tagline = orm.String"),),
        renames={"book.subtitle": "tagline"},
    ),
    Change(
        "13 rename field, its column kept",
        ((SUBTITLE, "tagline = orm.String(max_length=40, allow_null=True, column='subtitle')"),),
        outcome="nothing",
    ),
    Change(
        "14 nullable to required, no NULLs",
        ((SUBTITLE, "subtitle = orm.String(max_length=40)"),),
        rows=("UPDATE book SET subtitle = 'z' WHERE subtitle IS NULL",),
    ),
    Change(
        "15 nullable to required, NULLs, answered",
        ((SUBTITLE, "subtitle = orm.String(max_length=40)"),),
        one_off="none",
        values={"book.subtitle": {None: "none"}},
    ),
    Change(
        "15 nullable to required, NULLs, unanswered",
        ((SUBTITLE, "subtitle = orm.String(max_length=40)"),),
        outcome="refused",
    ),
    Change(
        "16 nullable to required with a server default, NULLs",
        ((SUBTITLE, "subtitle = orm.String(max_length=40, server_default='none')"),),
        values={"book.subtitle": {None: "none"}},
    ),
    Change("17 required to nullable", ((SMALL, "small = orm.SmallInteger(allow_null=True)"),)),
    Change("18 default changed", ((PAGES, "pages = orm.Integer(default=2)"),), outcome="nothing"),
    Change("19 server default added", ((PAGES, "pages = orm.Integer(server_default='9')"),)),
    Change("20 server default changed", ((STOCK, "stock = orm.Integer(server_default='5')"),)),
    Change("21 server default removed", ((STOCK, "stock = orm.Integer()"),)),
    Change("22 length wider", (("subtitle = orm.String(max_length=40", "subtitle = orm.String(max_length=80"),)),
    Change(
        "23 length narrower, rows fit",
        (("subtitle = orm.String(max_length=40", "subtitle = orm.String(max_length=5"),),
    ),
    Change(
        "24 length narrower, rows do not fit",
        (("subtitle = orm.String(max_length=40", "subtitle = orm.String(max_length=5"),),
        rows=("UPDATE book SET subtitle = '0123456789' WHERE id = 1",),
        outcome="refused",
    ),
    Change("25 integer wider", ((PAGES, "pages = orm.BigInteger(default=1)"),)),
    Change("26 integer narrower, rows fit", ((PAGES, "pages = orm.SmallInteger(default=1)"),)),
    Change(
        "27 integer narrower, rows do not fit",
        ((PAGES, "pages = orm.SmallInteger(default=1)"),),
        rows=("UPDATE book SET pages = 100000 WHERE id = 1",),
        outcome="refused",
    ),
    Change("28 integer to text", ((SMALL, "small = orm.String(max_length=10, default='1')"),)),
    Change("29 text to integer", ((NUMTEXT, "numtext = orm.Integer(default=7)"),)),
    Change(
        "30 text to integer, a row is no number",
        ((NUMTEXT, "numtext = orm.Integer(default=7)"),),
        rows=("UPDATE book SET numtext = 'abc' WHERE id = 1",),
        outcome="refused",
    ),
    Change("31 decimal wider", (("max_digits=8, decimal_places=2", "max_digits=12, decimal_places=4"),)),
    Change(
        "32 decimal scale narrower, rows do not fit",
        (("max_digits=8, decimal_places=2", "max_digits=8, decimal_places=1"),),
        outcome="refused",
    ),
    Change(
        "32 decimal scale narrower, rows fit",
        (("max_digits=8, decimal_places=2", "max_digits=8, decimal_places=1"),),
        rows=("UPDATE book SET price = 12.5",),
    ),
    Change(
        "33 moments get a zone",
        ((PUBLISHED, ZONED),),
        values={"book.published": UTC},
        outcomes={"sqlite": "nothing", "mariadb": "nothing", "mysql": "nothing"},
    ),
    Change(
        "34 moments lose their zone",
        ((ZONED, PUBLISHED),),
        before=((PUBLISHED, ZONED),),
        values={"book.published": {new: old for old, new in UTC.items()}},
        outcomes={"sqlite": "nothing", "mariadb": "nothing", "mysql": "nothing"},
    ),
    Change("35 enum member added", (('    bad = "b"\n', '    bad = "b"\n    soso = "s"\n'),), outcome="nothing"),
    Change(
        "36 enum member removed, answered",
        (('    bad = "b"\n', ""),),
        members={"bad": "good"},
        values={"book.mood": {"bad": "good"}},
    ),
    Change("36 enum member removed, unanswered", (('    bad = "b"\n', ""),), outcome="refused"),
    Change(
        "37 enum member renamed",
        (('    bad = "b"\n', '    poor = "b"\n'),),
        members={"bad": "poor"},
        values={"book.mood": {"bad": "poor"}},
    ),
    Change(
        "38 text to enum",
        ((SUBTITLE, "subtitle = orm.Enum(Mood, allow_null=True)"),),
        members={"s": "good"},
        values={"book.subtitle": {"s": "good"}},
    ),
    Change("39 add index", ((SUBTITLE, SUBTITLE[:-1] + ", index=True)"),)),
    Change("40 drop index", (("max_length=100, index=True", "max_length=100"),)),
    Change("41 rename index", (('name="ix_pages_price"', 'name="ix_pp"'),)),
    Change("42 order of an index changed", (('"-price", name="ix_pages_price"', '"price", name="ix_pages_price"'),)),
    Change("43 add unique", ((NUMTEXT, NUMTEXT[:-1] + ", unique=True)"),)),
    Change(
        "44 add unique, duplicate rows",
        ((NUMTEXT, NUMTEXT[:-1] + ", unique=True)"),),
        rows=("UPDATE book SET numtext = '1'",),
        outcome="refused",
    ),
    Change("45 drop unique", (("name = orm.String(max_length=50, unique=True)", "name = orm.String(max_length=50)"),)),
    Change(
        "46 add composite unique",
        ((UNIQUE, UNIQUE + '            orm.UniqueConstraint("pages", "small", name="uq_ps"),\n'),),
    ),
    Change("47 drop composite unique", ((UNIQUE, ""),)),
    Change("48 add check", ((CHECK, CHECK + '            orm.CheckConstraint("small > 0", name="some_small"),\n'),)),
    Change("49 change check", (('"pages > 0", name="some_pages"', '"pages > 1", name="some_pages"'),)),
    Change("50 drop check", ((CHECK, ""),)),
    Change("51 add partial index", (PARTIAL,)),
    Change("52 add expression index", (LOWER,), only=EXPRESSIONS),
    Change(
        "53 condition of a partial index changed",
        (("pages > 5", "pages > 6"),),
        before=(PARTIAL,),
        outcomes={"mariadb": "nothing", "mysql": "nothing"},
    ),
    Change(
        "54 another change beside such indexes",
        (("subtitle = orm.String(max_length=40", "subtitle = orm.String(max_length=80"),),
        before=(PARTIAL, LOWER),
        only=EXPRESSIONS,
    ),
    Change(
        "55 add foreign key with its column",
        (more("editor = orm.ForeignKey(Author, allow_null=True, on_delete=orm.SET_NULL, related_name='edited')"),),
    ),
    Change(
        "56 column becomes a foreign key",
        ((SMALL, "small = orm.ForeignKey('Tag', related_name='+')"),),
        rows=("UPDATE book SET small = 1",),
    ),
    Change(
        "57 column becomes a foreign key, orphans",
        ((PAGES, "pages = orm.ForeignKey('Tag', related_name='+')"),),
        outcome="refused",
    ),
    Change("58 drop foreign key, its column kept", ((AUTHOR, "author = orm.Integer()"),)),
    Change(
        "59 drop foreign key with its column",
        (
            (
                '    parent = orm.ForeignKey("Book", allow_null=True, on_delete=orm.SET_NULL, related_name="parts")\n',
                "",
            ),
        ),
        lost=("book.parent",),
    ),
    Change("60 on_delete changed", ((AUTHOR, "author = orm.ForeignKey(Author, on_delete=orm.RESTRICT)"),)),
    Change("61 target of a foreign key changed", ((AUTHOR, "author = orm.ForeignKey('Tag', on_delete=orm.CASCADE)"),)),
    Change("62 add many-to-many", (TAGS,)),
    Change(
        "63 drop many-to-many",
        (('    tags = orm.ManyToMany("Tag", related_name="books")\n', ""),),
        before=(TAGS,),
        rows=(BOOK_TAG,),
        lost=("book_tags",),
    ),
    Change(
        "64 many-to-many through a model, same table",
        (('ManyToMany("Tag", related', 'ManyToMany("Tag", through="BookTag", related'), another(THROUGH)),
        before=(TAGS,),
        rows=(BOOK_TAG,),
    ),
    Change(
        "65 referenced key wider",
        ((BOOK_KEY, BOOK_KEY.replace("orm.Integer", "orm.BigInteger")),),
        outcomes={"sqlite": "nothing"},
    ),
    Change(
        "66 referenced key to UUID",
        (
            (
                BOOK_KEY,
                BOOK_KEY.replace("orm.Integer(primary_key=True", "orm.UUID(primary_key=True, default=uuid.uuid4"),
            ),
        ),
        outcome="refused",
    ),
    Change(
        "67 key to UUID",
        ((TAG, TAG.replace("orm.Integer(primary_key=True", "orm.UUID(primary_key=True, default=uuid.uuid4")),),
        outcome="refused",
    ),
    Change(
        "68 key to composite key",
        ((TAG, TAG.replace("max_length=30", "max_length=30, primary_key=True")),),
        outcome="refused",
    ),
    Change(
        "69 another column as key",
        (
            (
                TAG,
                TAG.replace("    id = orm.Integer(primary_key=True)\n", "").replace(
                    "max_length=30", "max_length=30, primary_key=True"
                ),
            ),
        ),
        outcome="refused",
    ),
    Change(
        "70 add comment",
        ((SMALL, SMALL[:-1] + ', comment="it\'s small")'),),
        outcomes={"sqlite": "nothing"},
    ),
    Change(
        "71 move to another schema",
        ((TAG, TAG + "\n    class Meta:\n        schema = 'other'\n"),),
        only=("postgresql",),
        schemas=(None, "other"),
    ),
    Change(
        "72 add foreign key to itself",
        ((TAG, TAG + "    parent = orm.ForeignKey('Tag', allow_null=True, related_name='kids')\n"),),
    ),
    Change("73 add tables in a cycle", (another(CYCLE),)),
    Change("74 drop tables in a cycle", ((CYCLE, ""),), before=(another(CYCLE),), lost=("egg", "hen")),
    Change(
        "75 rename column in letter case",
        ((SUBTITLE, SUBTITLE[:-1] + ", column='Subtitle')"),),
        renames={"book.subtitle": "Subtitle"},
    ),
    Change(
        "76 rename table in letter case",
        (('tablename = "book"', 'tablename = "Book"'),),
        renames={"book": "Book"},
    ),
    Change("77 reserved names", (another(ORDER),)),
    Change(
        "78 JSON to text", ((DATA, "data = orm.Text(default='', allow_blank=True)"),), outcomes={"sqlite": "nothing"}
    ),
    Change("79 JSON to integer", ((DATA, "data = orm.Integer(default=0)"),), outcome="refused"),
    Change(
        "80 text to JSON",
        (("subtitle = orm.Text(allow_null=True)", "subtitle = orm.JSON(allow_null=True)"),),
        before=((SUBTITLE, "subtitle = orm.Text(allow_null=True)"),),
        rows=("UPDATE book SET subtitle = '{\"a\": 1}'",),
        outcomes={"sqlite": "nothing"},
    ),
    Change("81 add generated column", (DOUBLE,)),
    Change(
        "82 another change beside a generated column",
        (("subtitle = orm.String(max_length=40", "subtitle = orm.String(max_length=80"),),
        before=(DOUBLE,),
    ),
    Change(
        "83 expression of a generated column changed",
        (("pages * 2", "pages * 3"),),
        before=(DOUBLE,),
        values={"book.double": {20: 30, 40: 60}},
    ),
    Change(
        "84 split a table",
        ((f"    {SUBTITLE}\n", ""), another(BOOK_TEXT)),
        lost=("book.subtitle",),
    ),
    Change("85 boolean to integer", (("flag = orm.Boolean(default=False)", "flag = orm.Integer(default=0)"),)),
    Change(
        "86 integer to boolean", ((STOCK, "stock = orm.Boolean(default=False)"),), values={"book.stock": {3: 1, 4: 1}}
    ),
    Change("87 string to text", ((SUBTITLE, "subtitle = orm.Text(allow_null=True)"),)),
    Change("88 choices changed", ((NUMTEXT, NUMTEXT[:-1] + ', choices=["7", "8"])'),), outcome="nothing"),
    Change(
        "89 third target of a generic foreign key",
        (("orm.GenericForeignKey(Author, Book,", "orm.GenericForeignKey(Author, Book, Tag,"),),
        before=(another(COMMENT),),
        rows=("INSERT INTO comment (id, subject_author) VALUES (1, 1)",),
    ),
    Change(
        "90 to_field changed",
        ((AUTHOR, "author = orm.ForeignKey(Author, to_field='code', on_delete=orm.CASCADE)"),),
        values={"book.author": {1: 11, 2: 22}},
    ),
    Change(
        "91 text to UUID, rows fit",
        ((NUMTEXT.replace("20", "32"), "numtext = orm.UUID(default=uuid.uuid4)"),),
        before=((NUMTEXT, 'numtext = orm.String(max_length=32, default="7")'),),
        rows=tuple(f"UPDATE book SET numtext = '{str(number) * 32}' WHERE id = {number}" for number in (1, 2)),
    ),
    Change(
        "91 text to UUID, rows do not fit", ((NUMTEXT, "numtext = orm.UUID(default=uuid.uuid4)"),), outcome="refused"
    ),
    Change("92 integer to decimal", ((SMALL, "small = orm.Decimal(max_digits=6, decimal_places=2, default=1)"),)),
]
