"""F and arithmetic, in conditions, annotations and orderings."""

from __future__ import annotations

import decimal
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
