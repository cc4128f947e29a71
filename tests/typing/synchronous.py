"""What type checkers infer without `await`: rows and values, never coroutines."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

import orm

database = orm.Database("sqlite://")
models = orm.ModelRegistry(database=database)


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100)
    comments: orm.RelatedManager[Comment]


class Comment(orm.Model):
    registry = models

    note = orm.ForeignKey(Note, related_name="comments")


class Task(orm.SyncModel):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=100)
    steps: orm.SyncRelatedManager[Step]
    labels: orm.SyncManyToManyManager[Label]


class Step(orm.SyncModel):
    registry = models

    task = orm.ForeignKey(Task, related_name="steps")


class Label(orm.SyncModel):
    registry = models

    name = orm.String(max_length=100)


def one_call() -> None:
    assert_type(orm.run(Note.objects.filter(id=1)), list[Note])
    assert_type(orm.run(Note.objects.get(id=1)), Note)
    assert_type(orm.run(Note.objects.count()), int)


def block(note: Note) -> None:
    with orm.sync(models) as db:
        assert_type(db(Note).filter(id=1).order_by("-id")[:3].all(), list[Note])
        assert_type(db(Note).get(id=1), Note)
        assert_type(db(Note).first(), Note | None)
        assert_type(db(Note)[0], Note)
        assert_type(list(db(Note)), list[Note])
        assert_type(db(Note).count(), int)
        assert_type(db(Note).values("id").all(), list[dict[str, Any]])
        assert_type(db(Note).values_list("id", "text").all(), list[tuple[Any, ...]])
        assert_type(db(Note).create(text="x"), Note)
        assert_type(db(Note).get_or_create(text="x"), tuple[Note, bool])
        assert_type(db(Note).update(text="y"), int)
        assert_type(db(Note).update(text="y", returning=True), list[Note])
        assert_type(db(Note).graph("comments").all(), list[Note])
        assert_type(db(Note).page().items, list[Note])
        assert_type(db(note).save(), Note)
        assert_type(db(note).delete(), int)
        assert_type(db(note.comments).all(), list[Comment])
        assert_type(db(Note.objects.filter(id=1)).all(), list[Note])
        assert_type(db.run(Note.objects.count()), int)
        with database.transaction() as transaction:
            assert_type(transaction.is_open, bool)


def models_of_a_synchronous_program(task: Task) -> None:
    assert_type(Task.objects.filter(title="x").all(), list[Task])
    assert_type([each.title for each in Task.objects.order_by("id")], list[str])
    assert_type(Task.objects.get(id=1), Task)
    assert_type(task.save(), Task)
    assert_type(task.load(), Task)
    assert_type(task.delete(), int)
    assert_type(task.steps.all(), list[Step])
    assert_type(task.steps.filter(task=1).first(), Step | None)
    assert_type(task.labels.create(name="x"), Label)
    task.labels.add(1)
    assert_type(Task.raw("SELECT 1").all(), list[Task])


@orm.sync(models)
def decorated(title: str) -> int:
    return Task.objects.filter(title=title).count()


assert_type(decorated("x"), int)
