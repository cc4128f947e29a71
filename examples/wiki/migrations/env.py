"""What `orm` and `alembic` run: the migrations of `models`, on its database."""

from wiki.models import models

from orm.migrations import run

run(models)
