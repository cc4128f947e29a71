"""Random querysets of expressions, as source text that both ORMs evaluate.

They have computed annotations and their NULLs, windows in conditions, aggregates in values(), subqueries over relations
to many rows, enums and numbers in JSON, and querysets joined by ``&``, ``|`` and ``^``.
"""

from __future__ import annotations

import datetime
from typing import Any

from hypothesis import strategies as st

from tests.conformance.models_and_rows import MODELS, Level
from tests.conformance.random_queries import (
    NUMBERS,
    ROOTS,
    TEXTS,
    _shown_condition,
    conditions,
    leaves,
    paths,
    relations,
)

OPERATORS = ("&", "|", "^")


def queryset_of(text: str) -> Any:
    """The query that evaluates the text in either ORM."""
    return lambda m, o: eval(text, {"m": m, "o": o, "datetime": datetime, "Level": Level})


@st.composite
def near(draw: st.DrawFn, root: str, kind: str) -> str | None:
    """A path over relations to one row, to a column of this kind; None if there is no such column."""
    model, parts = root, []
    for _ in range(draw(st.integers(0, 2))):
        forward = [(name, c.target) for name, c in MODELS[model].items() if c.kind in ("link", "one")]
        if forward:
            name, model = draw(st.sampled_from(forward))
            parts.append(name)
    names = [name for name, column in MODELS[model].items() if column.kind == kind]
    return "__".join([*parts, draw(st.sampled_from(names))]) if names else None


@st.composite
def expressions(draw: st.DrawFn, root: str, server: str) -> tuple[str, str]:
    """An expression of a row, and the kind of its value: integer, text, or the path of a date to compare it with."""
    kind = draw(st.sampled_from(["integer", "integer", "text", "date"]))
    path = draw(near(root, kind))
    if path is None:
        return 'o.F("id") + 1', "integer"
    number, text = draw(st.sampled_from(NUMBERS)), draw(st.sampled_from(TEXTS))
    condition = _shown_condition(draw(leaves(root).filter(lambda leaf: leaf[2] != ())))
    if kind == "integer":
        template = draw(
            st.sampled_from(
                [
                    "o.F({path!r})",
                    "o.F({path!r}) + {number}",
                    'o.F({path!r}) * 2 - o.F("id")',
                    "o.Abs({path!r})",
                    "o.Coalesce({path!r}, o.Value({number}))",
                    "o.NullIf({path!r}, o.Value({number}))",
                    "o.Case(o.When({condition}, then=o.F({path!r})))",
                    "o.Case(o.When({condition}, then=o.F({path!r})), default=o.Value({number}))",
                ]
            )
        )
    elif kind == "text":
        template = draw(
            st.sampled_from(
                [
                    "o.Upper({path!r})",
                    "o.Concat({path!r}, o.Value({text!r}))",
                    "o.Left({path!r}, 2)",
                    "o.Coalesce({path!r}, o.Value({text!r}))",
                    "o.Case(o.When({condition}, then=o.F({path!r})), default=o.Value({text!r}))",
                    "o.Length({path!r})",
                ]
            )
        )
        kind = "integer" if "Length" in template else kind
    else:
        options = ["o.ExtractYear({path!r})", "o.ExtractMonth({path!r})", "o.ExtractDay({path!r}) + {number}"]
        # On SQLite, Django compares the texts of dates and of datetimes; on MySQL it reads what it computes as aware.
        if server == "postgresql":
            options.append("o.F({path!r}) + datetime.timedelta({number})")
        template = draw(st.sampled_from(options))
        kind = path if "timedelta" in template else "integer"
    return template.format(path=path, number=number, text=text, condition=condition), kind


@st.composite
def compared(draw: st.DrawFn, root: str, name: str, kind: str) -> str:
    """A condition on an annotation, by itself, negated, or with conditions on columns."""
    value: Any = draw(st.sampled_from(NUMBERS))
    if kind == "integer":
        lookup = draw(st.sampled_from(["", "__gt", "__lte", "__isnull", "__in"]))
    elif kind == "text":
        lookup, value = draw(st.sampled_from(["", "__in", "__isnull"])), draw(st.sampled_from(TEXTS)).upper()
    else:
        lookup = draw(st.sampled_from(["__gt", "__lte", "", "__isnull"]))
    if lookup == "__isnull":
        value = draw(st.booleans())
    shown = repr([value] if lookup == "__in" else value)
    if lookup != "__isnull" and kind not in ("integer", "text"):
        shown = f"o.F({kind!r})"
    condition = f"o.Q({name}{lookup}={shown})"
    for _ in range(draw(st.integers(0, 2))):
        how = draw(st.sampled_from(["not", "and", "or", "not", "nor"]))
        other = _shown_condition(draw(conditions(root)))
        condition = {
            "not": f"~({condition})",
            "and": f"({condition} & {other})",
            "or": f"({condition} | {other})",
            "nor": f"~({condition} | {other})",
        }[how]
    return condition


@st.composite
def windows(draw: st.DrawFn, root: str) -> str:
    """A window function that has the same value in rows that conditions over many rows multiply."""
    function = draw(st.sampled_from(["o.DenseRank()", 'o.Count("id")', 'o.Max("id")', "o.Rank()"]))
    partition = draw(near(root, draw(st.sampled_from(["integer", "text"]))))
    by = "" if partition is None else f", partition_by={partition!r}"
    return f'o.Window({function}{by}, order_by=[{draw(st.sampled_from(["", "-"]))!r} + "id"])'


@st.composite
def correlated(draw: st.DrawFn, root: str) -> str:
    """A condition on a row that a relation leads to, as a subquery that refers to the outer query."""
    name, target = draw(st.sampled_from(sorted(relations(root).items())))
    inner = _shown_condition(draw(conditions(target)))
    query = f'm.{target}.objects.filter(pk=o.OuterRef("{name}__id"))'
    exists = f"o.Exists({query}.{draw(st.sampled_from(['filter', 'exclude']))}({inner}))"
    return draw(st.sampled_from(["", "~"])) + exists


@st.composite
def querysets(draw: st.DrawFn, server: str) -> str:
    """A queryset, or what ends it, as source text."""
    root = draw(st.sampled_from(ROOTS))
    text = f"m.{root}.objects"
    what = draw(
        st.sampled_from(["computed", "computed", "window", "values", "grouped", "correlated", "combined", "badges"])
    )
    if what == "badges":
        return draw(badges(server))
    if draw(st.booleans()) and what != "combined":
        text += f".filter({_shown_condition(draw(conditions(root)))})"
    if what == "computed":
        for name in ("k1", "k2")[: draw(st.integers(1, 2))]:
            expression, kind = draw(expressions(root, server))
            text += f".annotate({name}={expression})"
            text += f".{draw(st.sampled_from(['filter', 'exclude']))}({draw(compared(root, name, kind))})"
    elif what == "window":
        text += f".annotate(w={draw(windows(root))})"
        text += f".{draw(st.sampled_from(['filter', 'exclude']))}({draw(compared(root, 'w', 'integer'))})"
    elif what in ("values", "grouped"):
        path, _ = draw(paths(root, depth=1))
        counted, kind = draw(paths(root, ("key", "integer"), 1))
        # On MySQL, Django's sum of keys is a decimal.
        aggregate = (
            f"o.{draw(st.sampled_from(['Count', 'Max', 'Min', *(['Sum'] if kind == 'integer' else [])]))}({counted!r})"
        )
        if what == "values":
            text += f".values({path!r}, n={aggregate})"
        else:
            text += f".values({path!r}).annotate(n={aggregate})"
        if draw(st.booleans()):
            text += f".{draw(st.sampled_from(['filter', 'exclude']))}(o.Q(n__gt={draw(st.sampled_from(NUMBERS))}))"
        if draw(st.booleans()):
            own = draw(near(root, "integer"))
            text += "" if own is None else f".annotate(s=o.F('n') + o.F({own!r}))"
    elif what == "correlated":
        condition = draw(correlated(root))
        how = draw(st.sampled_from(["filter", "exclude", "annotate", "count"]))
        if how == "annotate":
            text += f".annotate(e={condition})"
        elif how == "count":
            name = draw(st.sampled_from(sorted(relations(root))))
            text += f".annotate(n=o.Count({name!r}, filter={condition}))"
        else:
            text += f".{how}({condition})"
    else:
        for operator in draw(st.lists(st.sampled_from(OPERATORS), min_size=1, max_size=2)):
            text = f"({text} {operator} {draw(simple(root))})"
    # Django's exists() forgets what values() groups by.
    ends = ["", "", "", ".count()"]
    ends += [".exists()"] if what != "values" else []
    ends += [".distinct()"] if what != "window" else []  # Django's is of rows that it does not return.
    return text + draw(st.sampled_from(ends))


@st.composite
def simple(draw: st.DrawFn, root: str) -> str:
    """A queryset of conditions on the model's own columns, or of none."""
    column = draw(near(root, draw(st.sampled_from(["integer", "text", "boolean"]))))
    how = draw(st.sampled_from(["filter", "exclude", "none", "all", "filter"]))
    if how in ("none", "all") or column is None:
        return f"m.{root}.objects.{'none' if how == 'none' else 'all'}()"
    value = draw(st.sampled_from([True, 1, 3, 5]))
    return f"m.{root}.objects.{how}(id__lt={value + 3})" if how == "filter" else f"m.{root}.objects.exclude(id={value})"


#: Numbers of JSON documents; an integer and a float that are equal are one number on some databases only.
JSON_NUMBERS = [-3, 0, 1, 5, 7, 1.5, -0.25, 2500.125]


@st.composite
def badge_conditions(draw: st.DrawFn, depth: int = 2) -> str:
    """A condition on an enum or on a number in a JSON document, or several of them."""
    how = draw(st.sampled_from(["leaf", "not", "and", "or"])) if depth else "leaf"
    if how == "not":
        return f"~{draw(badge_conditions(depth - 1))}"
    if how != "leaf":
        parts = [draw(badge_conditions(depth - 1)) for _ in range(2)]
        return f"({(' & ' if how == 'and' else ' | ').join(parts)})"
    name = draw(st.sampled_from(["level", "level", "data__n", "data__n", "data__deep__n"]))
    lookup = draw(st.sampled_from(["", "__gt", "__gte", "__lt", "__lte", "__in", "__isnull"]))
    if lookup == "__isnull":
        return f"o.Q({name}__isnull={draw(st.booleans())})"
    values = st.sampled_from([f"Level({level.value})" for level in Level] if name == "level" else JSON_NUMBERS)
    if lookup == "__in":
        return f"o.Q({name}__in=[{', '.join(str(value) for value in draw(st.lists(values, min_size=1, max_size=3)))}])"
    return f"o.Q({name}{lookup}={draw(values)})"


@st.composite
def badges(draw: st.DrawFn, server: str) -> str:
    """A queryset of badges, which have an enum and a JSON document."""
    text = "m.Badge.objects"
    for _ in range(draw(st.integers(1, 2))):
        text += f".{draw(st.sampled_from(['filter', 'exclude']))}({draw(badge_conditions())})"
    condition = draw(badge_conditions())
    # Of an Avg of integers, Django has four digits on MySQL and MariaDB, which is declared to differ.
    averages = [] if server == "mysql" else ["Avg"]
    aggregate = draw(st.sampled_from(["Count", "Sum", *averages, "Min", "Max"]))
    end = draw(
        st.sampled_from(
            [
                "",
                ".count()",
                ".values('level').distinct()",
                f".values('level').annotate(n=o.Count('id', filter={condition}))",
                f".values('rank').annotate(n=o.{aggregate}('level'))",
                f".aggregate(n=o.{aggregate}('level'))",
                f".aggregate(n=o.{aggregate}('level', filter={condition}))",
                ".annotate(k=o.F('level') + 1).filter(k__gt=2).values('id', 'k')",
                f".annotate(k=o.Case(o.When({condition}, then='level'))).values('id', 'k')",
                f".annotate(k=o.Case(o.When({condition}, then='rank'), default=o.Value(-1))).values('id', 'k')",
                ".annotate(k=o.Coalesce('level', 'rank')).values('id', 'k')",
                f".annotate(k={condition}).values('id', 'k')",
            ]
        )
    )
    return text + end
