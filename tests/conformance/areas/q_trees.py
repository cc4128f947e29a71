"""Q trees: AND, OR, XOR, NOT, nested."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("Q trees")

XOR = {"mysql": "MySQL's XOR with NULL is NULL, which Django leaves so; ours counts NULL as false everywhere"}

case("AND", lambda m, o: m.Entry.objects.filter(o.Q(rating=5) & o.Q(featured=True)))
case("OR", lambda m, o: m.Entry.objects.filter(o.Q(rating=5) | o.Q(featured=False)))
case("XOR", lambda m, o: m.Entry.objects.filter(o.Q(id__gt=3) ^ o.Q(featured=True)))
case("XOR of three", lambda m, o: m.Entry.objects.filter(o.Q(id__gt=3) ^ o.Q(featured=True) ^ o.Q(id__lt=9)))
case("XOR with NULL", lambda m, o: m.Entry.objects.filter(o.Q(rating=5) ^ o.Q(featured=True)))
case("XOR with NULL and true", lambda m, o: m.Entry.objects.filter(o.Q(rating__lt=4) ^ o.Q(id__gt=0)), differs=XOR)
case("not XOR", lambda m, o: m.Entry.objects.filter(~(o.Q(id__gt=3) ^ o.Q(featured=True))))
case("not AND", lambda m, o: m.Entry.objects.filter(~(o.Q(rating=5) & o.Q(featured=True))), point=2)
case("not OR", lambda m, o: m.Entry.objects.filter(~(o.Q(rating=5) | o.Q(featured=True))), point=2)
case("OR of ANDs", lambda m, o: m.Entry.objects.filter(o.Q(rating=5, featured=True) | o.Q(rating=4, featured=False)))
case("AND of ORs", lambda m, o: m.Entry.objects.filter((o.Q(rating=5) | o.Q(rating=4)) & (o.Q(id=1) | o.Q(id=5))))
case("OR with a NOT in it", lambda m, o: m.Entry.objects.filter(o.Q(rating=5) | ~o.Q(title="Lennon")), point=2)
case("an empty Q is no condition", lambda m, o: m.Entry.objects.filter(o.Q()))
case("an empty Q in OR", lambda m, o: m.Entry.objects.filter(o.Q() | o.Q(rating=5)))
case("an empty Q in AND", lambda m, o: m.Entry.objects.filter(o.Q(rating=5) & o.Q()))
case("no conditions", lambda m, o: m.Entry.objects.filter())
case("several Qs", lambda m, o: m.Entry.objects.filter(o.Q(rating=5), o.Q(featured=True), title="Lennon"))
case("keywords in a Q", lambda m, o: m.Entry.objects.filter(o.Q(rating=5, title="Lennon")))
case("Qs in a Q", lambda m, o: m.Entry.objects.filter(o.Q(o.Q(rating=5) | o.Q(rating=3), title="Lennon")))
case("the same twice", lambda m, o: m.Entry.objects.filter(o.Q(rating=5) | o.Q(rating=5)))
case("a contradiction", lambda m, o: m.Entry.objects.filter(rating=5).filter(rating=4))
case("empty in in OR", lambda m, o: m.Entry.objects.filter(o.Q(rating__in=[]) | o.Q(id=1)), point=5)
case("not empty in in OR", lambda m, o: m.Entry.objects.filter(~o.Q(rating__in=[]) | o.Q(id=1)), point=5)
case("empty in in AND", lambda m, o: m.Entry.objects.filter(o.Q(rating__in=[]) & o.Q(id=1)), point=5)
case("empty in in XOR", lambda m, o: m.Entry.objects.filter(o.Q(rating__in=[]) ^ o.Q(id=1)), point=5)
case("not (empty in or not)", lambda m, o: m.Entry.objects.filter(~(o.Q(rating__in=[]) | ~o.Q(id=1))), point=5)
case("querysets joined by |", lambda m, o: m.Entry.objects.filter(rating=5) | m.Entry.objects.filter(featured=False))
case("querysets joined by &", lambda m, o: m.Entry.objects.filter(rating=5) & m.Entry.objects.filter(title="Lennon"))
case("querysets joined by ^", lambda m, o: m.Entry.objects.filter(id__gt=3) ^ m.Entry.objects.filter(featured=True))
case(
    "querysets over many rows joined by |",
    lambda m, o: (m.Blog.objects.filter(entries__rating=5) | m.Blog.objects.filter(name="Empty")).order_by("id"),
)
case("none joined by |", lambda m, o: m.Entry.objects.none() | m.Entry.objects.filter(rating=5))
case("none joined by &", lambda m, o: m.Entry.objects.none() & m.Entry.objects.filter(rating=5))
case(
    "deep",
    lambda m, o: m.Entry.objects.filter(
        ~(o.Q(rating=5) | ~(o.Q(author__country__name="Sweden") & ~(o.Q(title="Other") | o.Q(blog__owner=None))))
    ),
    point=2,
)
case(
    "a condition as a positional argument",
    lambda m, o: m.Entry.objects.filter(o.Exists(m.Comment.objects.filter(entry=o.OuterRef("pk"))), rating=5),
)
case(
    "Q and Exists",
    lambda m, o: m.Entry.objects.filter(
        o.Q(rating=4) | o.Q(o.Exists(m.Comment.objects.filter(entry=o.OuterRef("pk"), likes=3)))
    ),
)
