"""Models with every kind of relation, and with cycles of required foreign keys."""

from __future__ import annotations

import uuid

import orm
from orm.registry import ModelRegistry

models = ModelRegistry()


class Base(orm.Model):
    registry = models

    class Meta:
        abstract = True


class Label(Base):
    code = orm.String(max_length=10, unique=True)
    name = orm.String(max_length=20, default="?")


class Tag(Base):
    name = orm.String(max_length=10)


class Artist(Base):
    name = orm.String(max_length=20)
    tags = orm.ManyToMany(Tag, related_name="artists")
    friends = orm.ManyToMany("self")


class Profile(Base):
    artist = orm.OneToOne(Artist, on_delete=orm.CASCADE, related_name="profile")
    bio = orm.String(max_length=20)


class Album(Base):
    name = orm.String(max_length=20)
    artist = orm.ForeignKey(Artist, on_delete=orm.CASCADE, related_name="albums")
    label = orm.ForeignKey(Label, allow_null=True, to_field="code", on_delete=orm.SET_NULL, related_name="albums")


class Track(Base):
    album = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
    title = orm.String(max_length=20)
    position = orm.Integer(default=1, minimum=0)
    credited = orm.ManyToMany(Artist, through="Credit", related_name="credits")


class Credit(Base):
    track = orm.ForeignKey(Track, on_delete=orm.CASCADE, related_name="credit_rows")
    artist = orm.ForeignKey(Artist, on_delete=orm.CASCADE, related_name="credit_rows")
    role = orm.String(max_length=10)


class Category(Base):
    name = orm.String(max_length=20)
    parent = orm.ForeignKey("Category", allow_null=True, on_delete=orm.CASCADE, related_name="children")


class Node(Base):
    id = orm.UUID(primary_key=True, default=uuid.uuid4)
    name = orm.String(max_length=20)
    parent = orm.ForeignKey("Node", allow_null=True, on_delete=orm.CASCADE, related_name="children")


class Team(Base):
    name = orm.String(max_length=20)
    captain = orm.ForeignKey("Player", allow_null=True, on_delete=orm.SET_NULL, related_name="leads")


class Player(Base):
    name = orm.String(max_length=20)
    team = orm.ForeignKey(Team, on_delete=orm.CASCADE, related_name="players")


class Egg(Base):
    hen = orm.ForeignKey("Hen", on_delete=orm.CASCADE, related_name="eggs")


class Hen(Base):
    egg = orm.ForeignKey(Egg, on_delete=orm.CASCADE, related_name="hens")


class Shop(Base):
    name = orm.String(max_length=20)


class Order(Base):
    shop = orm.ForeignKey(Shop, primary_key=True, on_delete=orm.CASCADE, related_name="orders")
    number = orm.Integer(primary_key=True)


class Line(Base):
    shop = orm.BigInteger()
    number = orm.Integer()
    order = orm.CompositeForeignKey(Order, from_fields=["shop", "number"], on_delete=orm.CASCADE, related_name="lines")
    text = orm.String(max_length=20)


class Comment(Base):
    text = orm.String(max_length=20)
    subject = orm.GenericForeignKey(Album, Track, on_delete=orm.CASCADE, related_name="comments")
