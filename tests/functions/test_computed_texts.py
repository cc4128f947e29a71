"""Texts that the server computes are compared by their characters: by case, accents and trailing spaces too."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest

import orm
from orm import Case, F, OuterRef, Subquery, Value, When
from orm import functions as f
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()
TEXT = orm.String(max_length=30)
# Texts that collations take for the same, each more than once.
TEXTS = ["a", "A", "á", "a ", "a", "B", "b", "ß", "ss", "b", "é", "é", "E", ""]


class Word(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=30, allow_blank=True, trim_whitespace=False)
    copy = orm.String(max_length=30, allow_blank=True, trim_whitespace=False)
    data = orm.JSON()
    code = orm.Integer()


def _case() -> Any:
    return Case(*(When(id=key, then=Value(text)) for key, text in enumerate(TEXTS, 1)), default=Value("none"))


# Each is the text of the row, which the server computes from something else than the column.
EXPRESSIONS: dict[str, Any] = {
    "Case": _case,
    "Case of functions": lambda: Case(
        *(When(id=key, then=f.Concat(Value(text), Value(""))) for key, text in enumerate(TEXTS, 1)),
        default=Value("none"),
    ),
    "Coalesce": lambda: f.Coalesce(Value(None, output_field=TEXT), _case()),
    "Cast": lambda: f.Cast(_case(), TEXT),
    "Cast of a column": lambda: f.Cast("text", orm.Text()),
    "Concat": lambda: f.Concat(_case(), Value("")),
    "Concat with a column": lambda: f.Concat(f.NullIf("text", "text"), _case(), Value("")),
    "Concat with a number": lambda: f.Replace(f.Concat("id", _case()), f.Cast("id", TEXT), Value("")),
    "Left": lambda: f.Left(f.Concat(_case(), Value("xyz")), f.Length("text")),
    "Substr": lambda: f.Substr(f.Concat(Value("X"), _case()), 2),
    "Repeat": lambda: f.Repeat(_case(), 1),
    "Reverse": lambda: f.Reverse(f.Reverse(_case())),
    "KT": lambda: f.KT("data__text"),
    "JSON of an object": lambda: f.KT("data__nested__text"),
    "Subquery": lambda: Subquery(Word.objects.filter(id=OuterRef("id")).values(t=f.Concat(_case(), Value("")))),
}


@pytest.fixture
async def words(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    models.database = any_database
    await models.create_all()
    await Word.objects.bulk_create(
        {"text": t, "copy": t, "data": {"text": t, "nested": {"text": t}}, "code": ord(t[:1] or "-")} for t in TEXTS
    )
    yield any_database
    models.database = None


@pytest.mark.parametrize("name", EXPRESSIONS)
async def test_computed_text_is_compared_by_its_characters(name: str, words: databases.Database) -> None:
    rows = Word.objects.annotate(t=EXPRESSIONS[name]()).order_by("id")
    assert await rows.values_list("t", flat=True) == TEXTS
    for text in [*dict.fromkeys(TEXTS), "Á", "SS", " a", "a  ", "É"]:
        keys = [key for key, each in enumerate(TEXTS, 1) if each == text]
        others = [key for key, each in enumerate(TEXTS, 1) if each != text]
        assert await rows.filter(t=text).values_list("id", flat=True) == keys, text
        assert await rows.exclude(t=text).values_list("id", flat=True) == others, text
        assert await rows.filter(t__in=[text, "never"]).values_list("id", flat=True) == keys, text
        starting = [key for key, each in enumerate(TEXTS, 1) if each.startswith(text)]
        assert await rows.filter(t__startswith=text).values_list("id", flat=True) == starting, text
        containing = [key for key, each in enumerate(TEXTS, 1) if text in each]
        assert await rows.filter(t__contains=text).values_list("id", flat=True) == containing, text
    assert await rows.filter(t=F("text")).count() == len(TEXTS)
    assert await rows.filter(text=F("t"), copy__startswith=F("t")).count() == len(TEXTS)


@pytest.mark.parametrize("name", EXPRESSIONS)
async def test_computed_text_is_grouped_by_its_characters(name: str, words: databases.Database) -> None:
    rows = Word.objects.annotate(t=EXPRESSIONS[name]())
    groups = await rows.values("t").annotate(n=orm.Count("id")).values_list("t", "n")
    assert dict(groups) == Counter(TEXTS) and len(groups) == len(Counter(TEXTS))
    assert sorted(await rows.values_list("t", flat=True).distinct()) == sorted(set(TEXTS))
    assert await rows.aggregate(n=orm.Count("t", distinct=True)) == {"n": len(set(TEXTS))}
    if not str(words.url.dialect).startswith("postgres"):  # whose order is that of the database's locale
        assert await rows.order_by("t", "id").values_list("t", flat=True) == sorted(TEXTS)
        assert await rows.aggregate(least=orm.Min("t"), greatest=orm.Max("t")) == {"least": "", "greatest": max(TEXTS)}


async def test_function_of_literals_compares_characters(words: databases.Database) -> None:
    first = Word.objects.filter(id=1)

    async def value(expression: Any) -> Any:
        return await first.annotate(value=expression).values_list("value", flat=True).get()

    assert await value(f.StrIndex(Value("ABC"), Value("b"))) == 0
    assert await value(f.Replace(Value("ABC"), Value("b"), Value("x"))) == "ABC"
    assert await value(f.NullIf(Value("ABC"), Value("abc"))) == "ABC"
    assert await value(f.NullIf(Value("a"), Value("a "))) == "a"
    for character in "aAéÉ€😀":
        rows = first.annotate(c=f.Chr(Value(ord(character))))
        assert await rows.filter(c=character).count() == 1
        assert await rows.filter(c=character.swapcase()).count() == (character.swapcase() == character)
        assert await rows.filter(c__startswith=character).count() == 1
    assert await Word.objects.annotate(c=f.Chr("code")).filter(c="a").count() == 3
    assert await Word.objects.annotate(c=f.Concat("text", f.Chr("code"))).filter(c="BB").count() == 1
    assert await first.annotate(h=f.SHA256("text")).filter(h=f.Upper("h")).count() == 0


@pytest.mark.parametrize(("one", "other"), [("ABC", "abc"), ("é", "e"), ("a ", "a"), ("ß", "ss")])
async def test_two_literals_are_compared_by_their_characters(one: str, other: str, words: databases.Database) -> None:
    rows = Word.objects.annotate(value=Value(one))
    for _ in range(2):  # a statement can be sent in another way when it is repeated
        assert await rows.filter(value=other).count() == 0
        assert await rows.filter(value=one).count() == len(TEXTS)
        assert await rows.exclude(value=other).count() == len(TEXTS)
        assert await rows.filter(value__in=[other, "x"]).count() == 0
        if not str(words.url.dialect).startswith("postgres"):  # whose order is that of the database's locale
            assert await rows.filter(id=1, value__lt=other).count() == (one < other)
        assert await rows.annotate(same=Case(When(value=other, then=Value(1)), default=Value(0))).filter(same=1) == []


async def test_aggregated_texts_compare_characters(words: databases.Database) -> None:
    joined = Word.objects.values("code").annotate(t=orm.StringAgg(_case(), delimiter="|", order_by="id"))
    assert [row["t"] for row in await joined.filter(t="a|a |a")] == ["a|a |a"]
    assert await joined.filter(t="A|A |A").count() == 0
    assert await joined.filter(t__startswith="A|").count() == 0


async def test_json_is_built_of_any_text(words: databases.Database) -> None:
    rows = Word.objects.order_by("id").annotate(
        made=f.JSONObject(text="text", case=_case(), cast=f.Cast("id", TEXT), key=f.KT("data__text"), code="code"),
    )
    for position, document in enumerate(await rows.values_list("made", flat=True)):
        text = TEXTS[position]
        expected = {"text": text, "case": text, "cast": str(position + 1), "key": text, "code": ord(text[:1] or "-")}
        assert document == expected
    collected = await Word.objects.aggregate(
        texts=orm.JSONAgg("text", order_by="id"), cases=orm.JSONAgg(_case(), order_by="id"),
        keys=orm.JSONAgg(f.KT("data__text"), order_by="id"), numbers=orm.JSONAgg("id", order_by="id"),
    )  # fmt: skip
    assert collected == {"texts": TEXTS, "cases": TEXTS, "keys": TEXTS, "numbers": [*range(1, len(TEXTS) + 1)]}


TABLES = {
    "mysql": ("utf8mb4_0900_ai_ci", "utf8mb4_bin", "latin1_swedish_ci"),
    "mariadb": ("utf8mb4_general_ci", "utf8mb4_bin", "latin1_swedish_ci"),
}


@pytest.mark.parametrize("position", range(3), ids=["ignores case", "binary", "latin1"])
async def test_texts_meet_columns_of_another_collation(position: int, mysql_url: str) -> None:
    """Tables that another program made: exact lookups stay exact, and no combination is refused."""
    async with Database(mysql_url) as models.database:
        await models.create_all()
        server = (await dialect_of(models.database)).name
        collation = TABLES[server][position]
        await models.database.execute(
            f"ALTER TABLE word MODIFY text VARCHAR(30) CHARACTER SET {collation.partition('_')[0]} COLLATE {collation}"
        )
        await Word.objects.bulk_create({"text": t, "copy": t, "data": {"text": t}, "code": 1} for t in ("a", "A", "é"))
        rows = Word.objects.order_by("id")
        assert await rows.filter(text__startswith="a").values_list("id", flat=True) == [1]
        assert await rows.filter(text__contains="E").values_list("id", flat=True) == []
        if not collation.endswith("_bin"):  # the server compares no columns of two binary collations
            assert await rows.filter(text__endswith=F("copy")).count() == 3
            assert await rows.filter(copy__startswith=F("text")).count() == 3
        assert await rows.filter(text__startswith=F("text")).count() == 3
        casts = [f.Cast(name, TEXT) for name in ("id", "data", "text")]
        # The server makes no latin1 of texts that may have other characters.
        literals = [] if collation.startswith("latin1") else [_case()]
        for expression in (*casts, *literals, f.KT("data__text"), f.Chr(Value(97))):
            joined = rows.annotate(t=expression).annotate(j=f.Concat("text", "t"), o=f.Coalesce("text", "t"))
            assert len(await joined.values_list("j", "o")) == 3
            await joined.filter(t=F("text"))
            await joined.filter(text__startswith=F("t"))
            await joined.filter(t__contains=F("text"))
            await rows.annotate(k=Case(When(id=1, then=expression), default=F("text"))).filter(k="a")
        insensitive = f.Collate("copy", "utf8mb4_general_ci")
        assert await rows.annotate(c=insensitive).filter(c="A").values_list("id", flat=True) == [1, 2]
        assert await rows.annotate(c=insensitive).filter(c__startswith="A").values_list("id", flat=True) == [2]
        assert await rows.annotate(c=insensitive).filter(c__icontains="A").values_list("id", flat=True) == [1, 2]
