"""A notebook that calls synchronously, executed by a kernel, whose event loop runs; and IPython."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CELLS = [
    """
import asyncio
import orm
from tests.synchronous.models import Account, Author, Book, models, use

database = use({url!r})
orm.run(models.create_all())
asyncio.get_running_loop()  # the kernel's, which goes on running
session = orm.sync(models).start()
""",
    """
author = Author.objects.create(name="Le Guin")
for title in ("The Dispossessed", "The Lathe of Heaven"):
    author.books.create(title=title)
with database.transaction():
    Account.objects.create(balance=1)
    database.set_rollback(True)
print(author.books.all(), Account.objects.count())
""",
    """
await asyncio.sleep(0)
prefetched = Author.objects.prefetch_related("books").get()
print(prefetched.books.count(), [book.title for book in Book.objects.order_by("id")])
""",
    """
session.stop()
with orm.sync(models) as db:
    db(author).save()
    print(Book.objects.aggregate(n=orm.Count("id")))

async def count():
    return await Book.objects.count()

print(orm.run(count()))
orm.run(database.disconnect())
""",
    """
print(await Book.objects.count())
await database.disconnect()
""",
]
PRINTED = [
    "",
    "[<Book: Book(id=1)>, <Book: Book(id=2)>] 0\n",
    "2 ['The Dispossessed', 'The Lathe of Heaven']\n",
    "{'n': 2}\n2\n",
    "2\n",
]

# In a process of its own: the packages of Jupyter have warnings, which are errors in the tests.
EXECUTE = """
import json, sys
import nbclient, nbformat
cells = json.load(sys.stdin)
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
nbclient.NotebookClient(notebook, timeout=180, kernel_name="python3").execute()
json.dump([["".join(part.get("text", str(part)) for part in cell.outputs) for cell in notebook.cells]], sys.stdout)
"""


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "PYTHONDEVMODE")}
    return {**kept, "PYTHONPATH": str(ROOT), "JUPYTER_PLATFORM_DIRS": "1"}


def test_a_notebook(sqlite_url: str, tmp_path: Path) -> None:
    cells = [cell.format(url=sqlite_url) if "{url" in cell else cell for cell in CELLS]
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (printed,) = json.loads(done.stdout)
    assert printed == PRINTED


def test_ipython_in_a_terminal(sqlite_url: str, tmp_path: Path) -> None:
    lines = [
        "from tests.synchronous.models import *",
        f"database = use({sqlite_url!r})",
        "orm.run(models.create_all())",
        "orm.sync(models).start();",
        "Account.objects.create(balance=3).balance",
        "with database.transaction(): print([account.balance for account in Account.objects])",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--quick", "--simple-prompt", "--no-banner", "--colors=NoColor"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=180,
        cwd=tmp_path,
        env={**environment(), "IPYTHONDIR": str(tmp_path)},
        check=False,
    )
    assert "Out[5]: 3" in done.stdout and "[3]" in done.stdout, done.stdout + done.stderr
