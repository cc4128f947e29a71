"""The database of tests that are bound to one at module level: `TEST_DATABASE_URL`, else a new SQLite file."""

import atexit
import os
import shutil
import tempfile


def _new_sqlite_url() -> str:
    directory = tempfile.mkdtemp(prefix="orm-test-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return f"sqlite:///{directory}/test.db"


DATABASE_URL = os.environ.get("TEST_DATABASE_URL") or _new_sqlite_url()
