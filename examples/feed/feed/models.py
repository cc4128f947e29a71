"""The models, and their database: `DATABASE_URL`, or the file `feed.db`."""

from __future__ import annotations

import os

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ.get("DATABASE_URL", "sqlite:///feed.db")))


class User(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30, unique=True, pattern=r"^[a-z0-9_]+$", description="Lower case, digits and _.")
    bio = orm.String(max_length=200, allow_blank=True, default="")
    token_hash = orm.String(max_length=64, unique=True)
    joined = orm.DateTime(timezone=True, auto_now_add=True)

    class Meta:
        tablename = "users"


class Follow(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    follower = orm.ForeignKey(User, on_delete=orm.CASCADE, related_name="follows")
    followed = orm.ForeignKey(User, on_delete=orm.CASCADE, related_name="followers")

    class Meta:
        tablename = "follows"
        constraints = [
            orm.UniqueConstraint("follower", "followed", name="follow_once"),
            orm.CheckConstraint(
                ~orm.Q(follower=orm.F("followed")), name="not_oneself", message="You cannot follow yourself."
            ),
        ]


class Post(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    author = orm.ForeignKey(User, on_delete=orm.CASCADE, related_name="posts")
    text = orm.String(max_length=280)
    created = orm.DateTime(timezone=True, auto_now_add=True)

    class Meta:
        tablename = "posts"


class Like(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    user = orm.ForeignKey(User, on_delete=orm.CASCADE, related_name="likes")
    post = orm.ForeignKey(Post, on_delete=orm.CASCADE, related_name="likes")

    class Meta:
        tablename = "likes"
        constraints = [orm.UniqueConstraint("user", "post", name="like_once")]
