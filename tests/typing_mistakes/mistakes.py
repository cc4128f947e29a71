"""Mistakes, one in a function each, with the type checkers that refuse them (`python -m tools.type_mistakes`).

What no checker refuses raises an error of the ORM at its line, except the comparisons with a value of another type,
which the database answers, and the attribute that is set.
"""

from __future__ import annotations

import orm
from tests.typing.music_service.models import Album, Artist, Track
from tests.typing.typed_models import Invoice


# refused by: none
def constructor_wrong_name() -> None:
    Track(titel="x")


# refused by: none
def constructor_wrong_type(album: Album) -> None:
    Track(album=album, title="x", position="one")


# refused by: none
def constructor_required_field_left_out() -> None:
    Track(title="x")


# refused by: none
async def create_wrong_name() -> None:
    await Track.objects.create(titel="x")


# refused by: none
async def create_wrong_type(album: Album) -> None:
    await Track.objects.create(album=album, title="x", position="one")


# refused by: none
async def create_instance_of_another_model(album: Album, artist: Artist) -> None:
    await Track.objects.create(album=artist, title="x", position=1)


# refused by: none
async def update_wrong_name(track: Track) -> None:
    await track.update(titel="x")


# refused by: none
async def update_wrong_type() -> None:
    await Track.objects.update(position="one")


# refused by: none
async def filter_wrong_name() -> None:
    await Track.objects.filter(titel="x")


# refused by: none
async def filter_wrong_type() -> None:
    await Track.objects.filter(position="one")


# refused by: pyright mypy ty
async def greater_than_another_type() -> None:
    await Track.objects.filter(Track.position > "one")


# refused by: none
async def equal_to_another_type() -> None:
    await Track.objects.filter(Track.position == "one")


# refused by: pyright mypy ty
async def icontains_of_a_number() -> None:
    await Track.objects.filter(Track.title.icontains(3))


# refused by: pyright mypy ty
async def in__of_a_wrong_type() -> None:
    await Track.objects.filter(Track.position.in_(["one"]))


# refused by: pyright mypy ty
async def a_text_method_of_a_number() -> None:
    await Track.objects.filter(Track.position.icontains("x"))


# refused by: none
async def text_1() -> None:
    await Track.objects.update(position=Track.title + 1)


# refused by: none
async def order_by_wrong_name() -> None:
    await Track.objects.order_by("titel")


# refused by: none
async def select_related_wrong_name() -> None:
    await Track.objects.select_related("albun")


# refused by: none
async def values_list_wrong_name() -> None:
    await Track.objects.values_list("titel", flat=True)


# refused by: pyright mypy ty
def attribute_wrong_type(track: Track) -> None:
    track.position = "one"


# refused by: pyright mypy ty
def attribute_none(track: Track) -> None:
    track.title = None


# refused by: pyright mypy ty
def attribute_wrong_name(track: Track) -> None:
    track.titel = "x"


# refused by: pyright mypy ty
def relation_instance_of_another_model(album: Album, artist: Artist, track: Track) -> None:
    track.album = artist


# refused by: pyright mypy ty
def attribute_of_a_queryset() -> None:
    _ = Track.objects.filter(id=1).title


# refused by: none
async def expression_of_another_model() -> None:
    await Track.objects.filter(Album.price > 1)


# refused by: pyright mypy ty
def for_over_a_queryset() -> None:
    for _ in Track.objects.all():
        pass


# refused by: pyright mypy
def if_over_a_queryset() -> None:
    if Track.objects.filter(id=1):
        pass


# refused by: pyright
def if_of_a_comparison() -> None:
    if Track.title == "x":
        pass


# refused by: pyright mypy ty
async def a_text_expression_as_a_condition() -> None:
    await Track.objects.filter(Track.title)


# refused by: pyright mypy ty
async def a_string_as_a_condition() -> None:
    await Track.objects.filter("title")


# refused by: pyright mypy ty
def on_delete_wrong_value() -> None:
    orm.ForeignKey(Album, on_delete="cascade")


# refused by: pyright mypy ty
def a_field_s_option_wrong_name() -> None:
    orm.String(max_lenght=3)


# refused by: pyright mypy
def a_relation_s_option_django_s_name() -> None:
    orm.ForeignKey(Album, null=True)


# refused by: pyright mypy ty
def assigning_to_a_reverse_manager(album: Album, track: Track) -> None:
    album.tracks = [track]


# refused by: pyright mypy ty
async def class_attribute_wrong_name() -> None:
    await Track.objects.filter(Track.titel == "x")


# refused by: pyright mypy ty
def typed_constructor_wrong_name() -> None:
    Invoice(number="1", totl=3)


# refused by: pyright mypy ty
def typed_constructor_wrong_type() -> None:
    Invoice(number=1)


# refused by: pyright mypy
def typed_constructor_required_field_left_out() -> None:
    Invoice()


# refused by: pyright mypy ty
def typed_constructor_null_of_a_required_field() -> None:
    Invoice(number=None)
