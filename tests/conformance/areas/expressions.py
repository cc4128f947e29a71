"""F and arithmetic, in conditions, annotations and orderings."""

from __future__ import annotations

import decimal
import uuid
from typing import Any

from tests.conformance.cases import Area

case = Area("expressions")


def _numbers(make: Any) -> Any:
    return lambda m, o: m.Sample.objects.annotate(n=make(o)).order_by("id").values_list("id", "n")


for _name, _make in {
    "integer + number": lambda o: o.F("integer") + 1,
    "number - integer": lambda o: 10 - o.F("integer"),
    "integer * integer": lambda o: o.F("small") * o.F("small"),
    "integer / integer": lambda o: o.F("small") / 2,
    "integer % number": lambda o: o.F("big") % 5,
    "-integer": lambda o: -o.F("integer"),
    "integer + float": lambda o: o.F("small") + o.F("float"),
    "float * number": lambda o: o.F("float") * 2.0,
    "float / number": lambda o: o.F("float") / 4.0,
    "decimal + decimal": lambda o: o.F("decimal") + decimal.Decimal("0.25"),
    "decimal * number": lambda o: o.F("decimal") * 2,
    "nested": lambda o: (o.F("small") + 1) * (o.F("small") - 1),
    "precedence": lambda o: o.F("small") + o.F("small") * 2,
    "power": lambda o: o.F("small") ** 2,
    "bit and": lambda o: o.F("big").bitand(7),
    "bit or": lambda o: o.F("small").bitor(6),
    "shift left": lambda o: o.F("small").bitleftshift(2),
    "shift right": lambda o: o.F("integer").bitrightshift(1),
}.items():
    case(f"{_name}, annotated", _numbers(_make), ordered=True)

# NULL beside a number is NULL of its type, however it is written.
for _field in ("integer", "big", "float", "decimal"):
    for _name, _make in {
        "+ None": lambda o, f: o.F(f) + None,
        "None -": lambda o, f: None - o.F(f),
        "* None": lambda o, f: o.F(f) * None,
        "+ Value(None)": lambda o, f: o.F(f) + o.Value(None),
        "Value(None) *": lambda o, f: o.Value(None) * o.F(f),
    }.items():
        case(f"{_field} {_name}", _numbers(lambda o, f=_field, make=_make: make(o, f)), ordered=True)
case(
    "a UUID as a value",
    _numbers(lambda o: o.Case(o.When(small=1, then=uuid.UUID(int=7)), default=o.Coalesce("uuid", uuid.UUID(int=9)))),
    ordered=True,
)

case("a column against a column", lambda m, o: m.Entry.objects.filter(rating__gt=o.F("id")))
case("a column against arithmetic", lambda m, o: m.Entry.objects.filter(rating__gte=o.F("id") - 1))
case("a column across", lambda m, o: m.Entry.objects.filter(title=o.F("blog__name")))
case("a column across two", lambda m, o: m.Comment.objects.filter(author=o.F("entry__author")))
case("keys", lambda m, o: m.Entry.objects.filter(author=o.F("blog__owner")))
case("in of columns", lambda m, o: m.Entry.objects.filter(id__in=[o.F("rating"), 1]))
case("range of columns", lambda m, o: m.Entry.objects.filter(id__range=(o.F("rating"), 9)))
case("backwards", lambda m, o: m.Blog.objects.filter(entries__id__gt=o.F("id")).order_by("id"))
case("filter on an annotation", lambda m, o: m.Entry.objects.annotate(n=o.F("rating") + 1).filter(n__in=[4, 6]))
case("F of an annotation", lambda m, o: m.Entry.objects.annotate(n=o.F("rating") + 1).filter(id__gt=o.F("n")))
case(
    "an annotation of an annotation",
    lambda m, o: m.Entry.objects.annotate(n=o.F("rating") + 1).annotate(k=o.F("n") * 2).order_by("id"),
    ordered=True,
)
case("a value", lambda m, o: m.Entry.objects.annotate(n=o.Value(7), s=o.Value("x")).order_by("id").values("n", "s"))
case(
    "a value that is None",
    lambda m, o: m.Entry.objects.annotate(n=o.Value(None, output_field=o.IntegerType())).order_by("id").values("n"),
)
case("a value that is true", lambda m, o: m.Entry.objects.annotate(n=o.Value(True)).order_by("id").values("n"))
case(
    "concatenation by Concat",
    lambda m, o: m.Entry.objects.annotate(s=o.Concat("title", o.Value("!"))).order_by("id").values("s"),
)
case("contains a column", lambda m, o: m.Entry.objects.filter(title__contains=o.F("blog__name")))
case("starts with a column", lambda m, o: m.Author.objects.filter(name__startswith=o.F("mentor__name")))
case("iexact a column", lambda m, o: m.Author.objects.filter(name__iexact=o.F("mentor__name")))
case("an unknown column", lambda m, o: m.Entry.objects.filter(rating=o.F("nothing")))
case("F of an unknown relation", lambda m, o: m.Entry.objects.annotate(n=o.F("nothing__name")))
case(
    "an expression compared",
    lambda m, o: m.Entry.objects.annotate(ok=o.Q(rating__gt=3)).order_by("id").values("id", "ok"),
)
case(
    "ExpressionWrapper of Q",
    lambda m, o: (
        m.Entry.objects.annotate(ok=o.ExpressionWrapper(o.Q(rating__gt=3), output_field=o.BooleanType()))
        .order_by("id")
        .values("id", "ok")
    ),
)

SLICES = {
    "the first three": lambda o: o.F("title")[:3],
    "from the third": lambda o: o.F("title")[2:],
    "a part": lambda o: o.F("title")[1:4],
    "all": lambda o: o.F("title")[:],
    "nothing": lambda o: o.F("title")[2:2],
    "the first": lambda o: o.F("title")[0],
    "beyond the end": lambda o: o.F("title")[90],
    "a slice of a slice": lambda o: o.F("title")[1:][1:3],
    "across": lambda o: o.F("blog__tagline")[:2],
    "negative": lambda o: o.F("title")[-1],
    "a negative start": lambda o: o.F("title")[-3:],
    "a negative end": lambda o: o.F("title")[:-3],
    "in steps": lambda o: o.F("title")[::2],
    "that ends before it starts": lambda o: o.F("title")[3:2],
    "by a text": lambda o: o.F("title")["a"],
    "of a number": lambda o: o.F("rating")[:2],
    "of a date": lambda o: o.F("day")[0],
}
for _name, _make in SLICES.items():
    case(
        f"a slice: {_name}",
        lambda m, o, make=_make: m.Entry.objects.annotate(n=make(o)).order_by("id").values_list("id", "n"),
        ordered=True,
    )
case("a slice compared with", lambda m, o: m.Entry.objects.filter(blog__name=o.F("title")[:4]))
case("a slice, filtered on", lambda m, o: m.Entry.objects.annotate(n=o.F("title")[:1]).filter(n="L"))
case("a slice of an annotation", lambda m, o: m.Entry.objects.alias(n=o.Upper("title")).values_list(o.F("n")[:2]))
case(
    "a slice, ordered by",
    lambda m, o: m.Entry.objects.order_by(o.F("title")[1:3], "id").values_list("id", flat=True),
    ordered=True,
)
case("a slice, written", lambda m, o: _sliced(m, o), writes=True)
case(
    "a slice of an outer column",
    lambda m, o: m.Blog.objects.filter(
        o.Exists(m.Author.objects.filter(id__lte=o.OuterRef("id"), name__startswith=o.OuterRef("name")[:1]))
    ).order_by("id"),
)

for _name, _make in {
    "of a column": lambda o: o.Func("rating", function="ABS"),
    "of two": lambda o: o.Func("rating", o.Value(2), function="NULLIF"),
    "of arithmetic": lambda o: o.Func(o.F("rating") - 4, function="ABS"),
    "inside of another": lambda o: o.Upper(o.Func("title", function="LOWER")),
    "with a type": lambda o: o.Func("title", function="LENGTH", output_field=o.IntegerType()),
    "across": lambda o: o.Func("blog__name", function="LOWER"),
    "without a type": lambda o: o.Func(function="PI"),
}.items():
    case(
        f"Func {_name}",
        lambda m, o, make=_make: m.Entry.objects.annotate(n=make(o)).order_by("id").values_list("id", "n"),
        ordered=True,
    )
case("Func in a filter", lambda m, o: m.Entry.objects.filter(rating=o.Func(o.F("id") - 6, function="ABS")))

case("text and a number", lambda m, o: m.Entry.objects.annotate(n=o.F("title") + 1))
case("two texts", lambda m, o: m.Entry.objects.annotate(n=o.F("title") + o.F("blog__name")))
case("a truth and a number", lambda m, o: m.Entry.objects.annotate(n=o.F("featured") + 1))
case("Coalesce of text and a number", lambda m, o: m.Entry.objects.annotate(n=o.Coalesce("rating", o.Value("-"))))
case("Greatest of a date and a number", lambda m, o: m.Entry.objects.annotate(n=o.Greatest("day", "rating")))
case("NullIf of text and a number", lambda m, o: m.Entry.objects.annotate(n=o.NullIf("title", "rating")))
case(
    "Coalesce of numbers of two kinds",
    lambda m, o: m.Entry.objects.annotate(n=o.Coalesce("rating", o.Value(0.5))).values("n"),
    differs="Django refuses numbers of two kinds; the result is of the wider one",
)


def _sliced(m, o):  # type: ignore[no-untyped-def]
    done = yield m.Tag.objects.update(note=o.F("name")[1:3])
    return done, (yield m.Tag.objects.order_by("id").values_list("id", "note"))


# A value in an ExpressionWrapper has its type.
for _type, _value in {
    "IntegerType": 1,
    "FloatType": 1,
    "TextType": "x",
    "BooleanType": True,
    "decimal_type": decimal.Decimal("1.5"),
}.items():
    case(
        f"a value wrapped as {_type}",
        lambda m, o, type_=_type, value=_value: (
            m.Blog.objects.annotate(k=o.ExpressionWrapper(o.Value(value), output_field=getattr(o, type_)()))
            .filter(o.Q(k=value) & o.Q(k__in=[value]))
            .values_list("id", "k")
        ),
    )
    case(
        f"None wrapped as {_type}",
        lambda m, o, type_=_type: (
            m.Blog.objects.annotate(k=o.ExpressionWrapper(o.Value(None), output_field=getattr(o, type_)()))
            .filter(k__isnull=True)
            .values_list("id", "k")
        ),
    )
