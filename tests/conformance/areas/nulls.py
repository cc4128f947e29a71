"""NULL, in columns and where a relation leads nowhere."""

from __future__ import annotations

from tests.conformance.cases import Area

case = Area("NULLs")

case("orphans over a null relation", lambda m, o: m.Blog.objects.filter(owner__name__isnull=True), point=3)
case("orphans over two", lambda m, o: m.Blog.objects.filter(owner__country__name__isnull=True).order_by("id"), point=3)
case("orphans over three", lambda m, o: m.Entry.objects.filter(blog__owner__country__code__isnull=True), point=3)
case("not null over one", lambda m, o: m.Blog.objects.filter(owner__name__isnull=False), point=3)
case("not null over two", lambda m, o: m.Blog.objects.filter(owner__country__code__isnull=False), point=3)
case("ordering keeps orphans", lambda m, o: m.Blog.objects.order_by("owner__name", "id"), ordered=True, point=3)
case("ordering down keeps orphans", lambda m, o: m.Blog.objects.order_by("-owner__name", "id"), ordered=True, point=3)
case(
    "OR keeps orphans",
    lambda m, o: m.Blog.objects.filter(o.Q(owner__name="Ann") | o.Q(name="Pop")).order_by("id"),
    ordered=True,
    point=3,
)
case(
    "OR with isnull",
    lambda m, o: m.Blog.objects.filter(o.Q(owner__age__gt=30) | o.Q(owner__isnull=True)).order_by("id"),
    ordered=True,
    point=3,
)
case("AND after OR", lambda m, o: m.Blog.objects.filter(o.Q(owner__age=40) | o.Q(id=3), owner__isnull=True), point=3)
case("lt leaves NULL out", lambda m, o: m.Entry.objects.filter(rating__lt=10))
case("gte leaves NULL out", lambda m, o: m.Entry.objects.filter(rating__gte=0))
case("exact None across", lambda m, o: m.Blog.objects.filter(owner__age=None).order_by("id"), point=5)
case("iexact None", lambda m, o: m.Entry.objects.filter(title__iexact=None), point=5)
case("Q exact None", lambda m, o: m.Entry.objects.filter(o.Q(rating=None)), point=5)
case("gt None", lambda m, o: m.Entry.objects.filter(rating__gt=None), point=5)
case("lte None", lambda m, o: m.Entry.objects.filter(rating__lte=None), point=5)
case("contains None", lambda m, o: m.Entry.objects.filter(title__contains=None), point=5)
case(
    "range with None",
    lambda m, o: m.Entry.objects.filter(rating__range=(None, 5)),
    differs="refused, as gt=None is; Django finds nothing",
)
case("isnull takes a bool", lambda m, o: m.Entry.objects.filter(rating__isnull="yes"))
case("isnull takes no number", lambda m, o: m.Entry.objects.filter(rating__isnull=1))
case("in with None finds no NULL", lambda m, o: m.Entry.objects.filter(rating__in=[5, None]), point=5)
case("not in with None", lambda m, o: m.Entry.objects.exclude(rating__in=[5, None]), point=5)
case("F equal to F, both NULL", lambda m, o: m.Blog.objects.filter(tagline=o.F("tagline")))
case("not F equal to F", lambda m, o: m.Blog.objects.exclude(tagline=o.F("tagline")))
case("F across a null relation", lambda m, o: m.Comment.objects.filter(likes__lt=o.F("author__age")))
case("not F across a null relation", lambda m, o: m.Comment.objects.exclude(likes__lt=o.F("author__age")), point=2)
case("NULL in arithmetic", lambda m, o: m.Entry.objects.annotate(n=o.F("rating") + 1).order_by("id"), ordered=True)
case("NULL in a condition on arithmetic", lambda m, o: m.Entry.objects.annotate(n=o.F("rating") + 1).filter(n__gt=3))
case("empty text is not NULL", lambda m, o: m.Blog.objects.filter(tagline=""))
case("isnull does not find empty text", lambda m, o: m.Blog.objects.filter(tagline__isnull=True))
case("values across a null relation", lambda m, o: m.Blog.objects.order_by("id").values("name", "owner__country__name"))
case("isnull twice", lambda m, o: m.Blog.objects.filter(owner__isnull=True, tagline__isnull=False), point=3)
case("isnull of the far key", lambda m, o: m.Blog.objects.filter(owner__country__isnull=True).order_by("id"), point=3)
case(
    "isnull of the far pk", lambda m, o: m.Blog.objects.filter(owner__country__pk__isnull=True).order_by("id"), point=3
)
