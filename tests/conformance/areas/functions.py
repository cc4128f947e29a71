"""Database functions: their values and the types of them."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Area

case = Area("functions")


def samples(make: Any) -> Any:
    """The samples with the expression, by key."""
    return lambda m, o: m.Sample.objects.annotate(k=make(o)).order_by("id").values_list("id", "k")


DIFFERENT = {
    "Lower": {"sqlite": "SQLite's LOWER knows ASCII alone; ours all letters"},
    "SHA256": {"postgresql": "Django needs the extension pgcrypto; PostgreSQL has the function itself"},
}

for _name, _make in {
    "Lower": lambda o: o.Lower("text"),
    "Upper of ASCII": lambda o: o.Upper(o.Value("abc")),
    "Length": lambda o: o.Length("text"),
    "Concat": lambda o: o.Concat("text", o.Value("!"), o.Value("?")),
    "Concat with NULL": lambda o: o.Concat(o.Value("<"), "text", o.Value(">")),
    "Substr": lambda o: o.Substr("text", 2, 2),
    "Substr to the end": lambda o: o.Substr("text", 2),
    "Trim": lambda o: o.Trim(o.Value("  a ")),
    "LTrim": lambda o: o.LTrim(o.Value("  a ")),
    "RTrim": lambda o: o.RTrim(o.Value("  a ")),
    "Replace": lambda o: o.Replace("text", o.Value("b"), o.Value("--")),
    "StrIndex": lambda o: o.StrIndex("text", o.Value("c")),
    "Left": lambda o: o.Left("text", 2),
    "Right": lambda o: o.Right("text", 2),
    "LPad": lambda o: o.LPad("text", 6, o.Value("*")),
    "RPad": lambda o: o.RPad("text", 6, o.Value("*")),
    "Repeat": lambda o: o.Repeat("text", 2),
    "Reverse": lambda o: o.Reverse("text"),
    "MD5": lambda o: o.MD5("text"),
    "SHA256": lambda o: o.SHA256("text"),
    "Chr": lambda o: o.Chr(o.Value(65)),
    "Ord": lambda o: o.Ord(o.Value("A")),
    "Coalesce": lambda o: o.Coalesce("integer", o.Value(0)),
    "Coalesce of two columns": lambda o: o.Coalesce("small", "integer"),
    "NullIf": lambda o: o.NullIf("integer", o.Value(1)),
    "Greatest": lambda o: o.Greatest("small", o.Value(0)),
    "Least": lambda o: o.Least("small", o.Value(0)),
    "Abs": lambda o: o.Abs("integer"),
    "Ceil": lambda o: o.Ceil("float"),
    "Floor": lambda o: o.Floor("float"),
    "Round": lambda o: o.Round("float"),
    "Mod": lambda o: o.Mod("small", 7),
    "Power": lambda o: o.Power("small", 1),
    "Sign": lambda o: o.Sign("integer"),
    "Sqrt": lambda o: o.Sqrt(o.Abs("float")),
    "Cast to integer": lambda o: o.Cast("boolean", output_field=o.IntegerType()),
    "Cast to text": lambda o: o.Cast("integer", output_field=o.TextType()),
    "Cast to float": lambda o: o.Cast("integer", output_field=o.FloatType()),
    "nested": lambda o: o.Upper(o.Substr(o.Lower(o.Value("hELLO")), 1, 3)),
    "arithmetic on a function": lambda o: o.Length("text") + 1,
}.items():
    case(_name, samples(_make), ordered=True, differs=DIFFERENT.get(_name, ""))

case(
    "filter on a function", lambda m, o: m.Entry.objects.annotate(k=o.Lower("title")).filter(k="lennon").order_by("id")
)
case("a function as a value", lambda m, o: m.Entry.objects.filter(title=o.Upper("title")))
case(
    "across",
    lambda m, o: m.Entry.objects.annotate(k=o.Upper("blog__name")).order_by("id").values_list("id", "k"),
    ordered=True,
)
case(
    "of an aggregate",
    lambda m, o: (
        m.Blog.objects.annotate(k=o.Coalesce(o.Max("entries__rating"), o.Value(0)))
        .order_by("id")
        .values_list("id", "k")
    ),
    ordered=True,
)
case("in an aggregate", lambda m, o: m.Entry.objects.aggregate(n=o.Sum(o.Length("title"))))
case(
    "grouped by",
    lambda m, o: m.Entry.objects.annotate(k=o.Lower("title")).values("k").annotate(n=o.Count("id")).order_by("k"),
    ordered=True,
    point=8,
)
case("in update", lambda m, o: _updated(m, o), writes=True)


def _updated(m, o):  # type: ignore[no-untyped-def]
    done = yield m.Entry.objects.filter(id__lt=4).update(title=o.Concat(o.Upper("title"), o.Value("!")))
    return done, (yield m.Entry.objects.order_by("id").values_list("id", "title"))
