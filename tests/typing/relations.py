"""What type checkers see of relations. Checked by `make check`, never run."""

from __future__ import annotations

from typing_extensions import assert_type

import orm

models = orm.ModelRegistry()


class Tag(orm.Model):
    registry = models

    name = orm.String(max_length=100)


class Order(orm.Model):
    registry = models

    shop = orm.Integer(primary_key=True)
    number = orm.Integer(primary_key=True)


class Article(orm.Model):
    registry = models

    title = orm.String(max_length=100)
    tags = orm.ManyToMany(Tag, related_name="articles")
    comments: orm.RelatedManager[Comment]
    shop = orm.Integer()
    number = orm.Integer(allow_null=True)
    order = orm.CompositeForeignKey(Order, from_fields=["shop", "number"], allow_null=True)


class Comment(orm.Model):
    registry = models

    article = orm.ForeignKey(Article, related_name="comments")
    text = orm.Text()
    subject = orm.GenericForeignKey(Article, Tag)
    order = orm.CompositeForeignKey(Order, from_fields=["a", "b"])


async def managers(article: Article) -> None:
    assert_type(article.tags, orm.ManyToManyManager[Tag])
    assert_type(await article.tags, list[Tag])
    assert_type(await article.tags.all(), list[Tag])
    assert_type(await article.tags.filter(name="x").first(), "Tag | None")
    assert_type(await article.tags.create(name="x", through_defaults={}), Tag)
    assert_type(await article.tags.get_or_create(name="x"), tuple[Tag, bool])
    await article.tags.add(Tag(name="x"), 5, through_defaults={"by": 1})
    await article.tags.set([1, 2])
    assert_type(article.comments, orm.RelatedManager[Comment])
    assert_type(await article.comments.filter(text="x"), list[Comment])
    assert_type(await article.comments.create(text="x"), Comment)
    assert_type(await article.comments.count(), int)
    async for comment in article.comments:
        assert_type(comment, Comment)


def instances(article: Article, comment: Comment) -> None:
    assert_type(article.order, "Order | None")
    assert_type(comment.order, Order)
    assert_type(comment.subject, "Article | Tag")
    comment.subject = Tag(name="x")
    article.order = None
    comment.order = (1, 2)


async def expressions() -> None:
    assert_type(Article.tags.name, orm.Expression[str])
    assert_type(Article.comments.text, orm.Expression[str])
    assert_type(Comment.order.shop, orm.Expression[int])
    await Article.objects.filter(Article.tags.name == "x", Article.comments.text.icontains("y"))
    await Comment.objects.filter(Comment.subject.article.title == "x")
