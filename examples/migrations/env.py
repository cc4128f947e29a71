"""What `orm` and `alembic` run: the migrations of the notes services, on their database.

An application of your own needs its own `models` in the import below, and nothing else; `orm init` writes this file.
"""

from examples.notes.models import models
from orm.migrations import run

run(models)
