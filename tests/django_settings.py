"""Sets Django up once, when it is imported, for the tests that compare with it."""

from __future__ import annotations

from typing import Any

import django
import pymysql
from django.conf import settings


class Current:
    """Django's router: everything goes to the database in use."""

    alias = "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return Current.alias

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return Current.alias


# Django's MySQL backend asks for mysqlclient, and takes PyMySQL in its place.
pymysql.version_info = (2, 2, 1, "final", 0)
pymysql.install_as_MySQLdb()
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DATABASE_ROUTERS=[Current()],
    INSTALLED_APPS=["tests.conformance"],  # Django follows relations backwards only among installed apps.
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
    TIME_ZONE="UTC",
)
django.setup()
