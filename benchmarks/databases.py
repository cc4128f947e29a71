"""The subjects' databases: created, filled with the same rows, restored after writes, dropped at the end."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.operations import USERS
from benchmarks.peers.base import Target
from tests import temporary_databases
from tests.servers import Servers

TABLES = (
    "CREATE TABLE users (id {serial}, name VARCHAR(100) NOT NULL, email VARCHAR(255) NOT NULL UNIQUE,"
    " age INTEGER NOT NULL, is_active BOOLEAN NOT NULL, created_at {moment} NOT NULL)",
    "CREATE TABLE posts (id {serial}, user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,"
    " title VARCHAR(200) NOT NULL, content TEXT NOT NULL, views INTEGER NOT NULL, created_at {moment} NOT NULL{posts})",
    "CREATE TABLE post_tags (id {serial}, post_id INTEGER NOT NULL REFERENCES posts (id) ON DELETE CASCADE,"
    " name VARCHAR(50) NOT NULL{post_tags})",
    "CREATE TABLE events (id {serial}, value INTEGER NOT NULL, name VARCHAR(100) NOT NULL)",
    "CREATE INDEX posts_user ON posts (user_id)",
    "CREATE INDEX posts_created ON posts (created_at)",
    "CREATE INDEX post_tags_post ON post_tags (post_id)",
)
DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))


def numbers(count: int) -> str:
    """A subquery of n from 0 to `count` - 1, in SQL that works on every database."""
    powers = [10**i for i in range(len(str(count - 1)))]
    total = " + ".join(f"t{power}.d * {power}" for power in powers)
    tables = ", ".join(f"({DIGITS}) t{power}" for power in powers)
    return f"(SELECT {total} AS n FROM {tables} WHERE {total} < {count}) numbers"


def filling(spell: Spelling, posts: int, events: int) -> list[str]:
    """The statements that fill the tables, with `posts` posts per user, and `events` events."""
    name = f"CASE n % 10 WHEN 0 THEN {spell.text('Anna', 'n')} ELSE {spell.text('User', 'n')} END"
    mail = spell.text("user", "n", "@example.com", glue="")
    truth = spell.truth.format("n % 2 = 0")
    each = f"FROM {numbers(USERS * posts)} ORDER BY n"
    content = f"'{'What the post says, in some words. ' * 5}'"
    filled = [
        f"INSERT INTO users SELECT n + 1, {name}, {mail}, 15 + n * 37 % 56, {truth}, {spell.moment('n')}"
        f" FROM {numbers(USERS)} ORDER BY n",
        f"INSERT INTO posts SELECT n + 1, n % {USERS} + 1, {spell.text('Post', 'n')}, {content}, n * 7 % 1000,"
        f" {spell.moment('n')} {each}",
        f"INSERT INTO post_tags SELECT n + 1, n * 7 % {USERS * posts} + 1, {spell.text('tag', 'n % 50')}"
        f" FROM {numbers(2 * USERS)} ORDER BY n",
    ]
    if events:
        filled.append(
            f"INSERT INTO events SELECT n + 1, n % 1000, {spell.text('event', 'n')} FROM {numbers(events)} ORDER BY n"
        )
    return [*filled, "CREATE TABLE seed AS SELECT * FROM users"]


RESTORE = (
    f"DELETE FROM users WHERE id > {USERS}",
    "UPDATE users SET name = (SELECT name FROM seed WHERE seed.id = users.id),"
    " is_active = (SELECT is_active FROM seed WHERE seed.id = users.id) WHERE EXISTS (SELECT 1 FROM seed"
    " WHERE seed.id = users.id AND (seed.name <> users.name OR seed.is_active <> users.is_active))",
)
# Inserted rows are compared without their keys, which the database chooses.
STATE = (
    f"SELECT CASE WHEN id > {USERS} THEN 0 ELSE id END, name, email, age, CASE WHEN is_active THEN 1 ELSE 0 END"
    " FROM users ORDER BY email"
)


class Spelling:
    """The SQL that differs between databases when the tables are filled."""

    types: dict[str, str]
    truth = "{}"

    def text(self, before: str, number: str, after: str = "", glue: str = " ") -> str:
        """SQL of a text with a number in it."""
        return f"CONCAT('{before}{glue}', {number}, '{after}')"

    def moment(self, minutes: str) -> str:
        """SQL of the time `minutes` after the start of the year."""
        raise NotImplementedError


class SQLiteSpelling(Spelling):
    types = {  # noqa: RUF012
        "serial": "INTEGER PRIMARY KEY AUTOINCREMENT", "moment": "TIMESTAMP", "posts": "", "post_tags": "",
    }  # fmt: skip

    def text(self, before: str, number: str, after: str = "", glue: str = " ") -> str:
        return f"'{before}{glue}' || ({number}) || '{after}'"

    def moment(self, minutes: str) -> str:
        return f"strftime('%Y-%m-%d %H:%M:%f000', '2026-01-01', ({minutes}) || ' minutes')"


class PostgreSQLSpelling(Spelling):
    types = {  # noqa: RUF012
        "serial": "SERIAL PRIMARY KEY", "moment": "TIMESTAMPTZ", "posts": "", "post_tags": "",
    }  # fmt: skip

    def moment(self, minutes: str) -> str:
        return f"TIMESTAMPTZ '2026-01-01 00:00:00+00' + {minutes} * INTERVAL '1 minute'"


class MySQLSpelling(Spelling):
    types = {  # noqa: RUF012
        "serial": "INTEGER PRIMARY KEY AUTO_INCREMENT",
        "moment": "DATETIME(6)",
        "posts": ", FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE",
        "post_tags": ", FOREIGN KEY (post_id) REFERENCES posts (id) ON DELETE CASCADE",
    }

    def moment(self, minutes: str) -> str:
        return f"TIMESTAMP('2026-01-01') + INTERVAL ({minutes}) MINUTE"


class Stage(ABC):
    """The databases of one kind for one run; one for each subject, all filled alike.

    Attributes:
        version: the server's name and version.
    """

    version: str

    def __init__(self, servers: Servers, *, tuned: bool, posts: int, events: int) -> None:
        self.servers = servers
        self.tuned = tuned
        self.posts = posts
        self.events = events

    @abstractmethod
    def make(self, subject: str) -> Target:
        """Create and fill a subject's database."""

    @abstractmethod
    def run(self, target: Target, *statements: str) -> list[Any]:
        """Run statements; returns the rows of the last one."""

    @abstractmethod
    def drop(self, target: Target) -> None:
        """Drop a subject's database."""

    @abstractmethod
    def close(self) -> None:
        """Drop everything except the subjects' databases."""

    def restore(self, target: Target) -> None:
        """Restore the rows that operations changed."""
        self.run(target, *RESTORE)

    def state(self, target: Target) -> list[list[Any]]:
        """The users' table, for comparison."""
        return [list(row) for row in self.run(target, STATE)]


class SQLiteStage(Stage):
    """Files in a temporary directory; the first is filled, the others are copies."""

    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, servers: Servers, **options: Any) -> None:
        super().__init__(servers, **options)
        self.directory = Path(tempfile.mkdtemp(prefix="orm-bench-"))
        self.template = Target(kind="sqlite", database=str(self.directory / "template.db"), tuned=self.tuned)
        spelling = SQLiteSpelling()
        tables = [table.format(**spelling.types) for table in TABLES]
        # WAL mode is stored in the file, so all subjects have it.
        mode = ["PRAGMA journal_mode = WAL"] if self.tuned else []
        self.run(self.template, *mode, *tables, *filling(spelling, self.posts, self.events), "ANALYZE")

    def make(self, subject: str) -> Target:
        target = replace(self.template, database=str(self.directory / f"{subject}.db"))
        shutil.copy(self.template.database, target.database)
        return target

    def run(self, target: Target, *statements: str) -> list[Any]:
        rows: list[Any] = []
        with closing(sqlite3.connect(target.database, timeout=30, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for statement in statements:
                rows = connection.execute(statement).fetchall()
        return rows

    def drop(self, target: Target) -> None:
        for file in self.directory.glob(Path(target.database).name + "*"):
            file.unlink()

    def close(self) -> None:
        shutil.rmtree(self.directory)


class ServerStage(Stage):
    """Databases of a server, which the environment's TEST_<KIND>_URL names or the tests' rules find."""

    kind: str
    spelling: Spelling
    analyze = "ANALYZE"

    def __init__(self, servers: Servers, **options: Any) -> None:
        super().__init__(servers, **options)
        server = servers.get(self.kind)
        self.version = server.version
        self.url = server.url
        self.admin = temporary_databases.connect(server.url)
        parts = urlsplit(server.url)
        self.server = Target(
            kind=self.kind,
            database="",
            host=parts.hostname or "127.0.0.1",
            port=parts.port or {"postgresql": 5432, "mysql": 3306}[self.kind],
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            tuned=self.tuned,
        )

    def name(self, subject: str) -> str:
        """The name of a subject's database."""
        return f"{self.servers.run_id}_{subject}"

    def fill(self, target: Target) -> None:
        """Create the tables and insert the rows."""
        tables = [table.format(**self.spelling.types) for table in TABLES]
        self.run(target, *tables, *filling(self.spelling, self.posts, self.events), self.analyze)

    def run(self, target: Target, *statements: str) -> list[Any]:
        rows: list[Any] = []
        with temporary_databases.connect(temporary_databases.with_database(self.url, target.database)) as connection:
            for statement in statements:
                rows = connection.fetch(statement)
        return rows

    def drop(self, target: Target) -> None:
        self.admin.drop(target.database)

    def close(self) -> None:
        self.admin.close()


class PostgreSQLStage(ServerStage):
    """PostgreSQL copies the first database."""

    kind = "postgresql"
    spelling = PostgreSQLSpelling()
    analyze = "VACUUM ANALYZE"

    def __init__(self, servers: Servers, **options: Any) -> None:
        super().__init__(servers, **options)
        self.template = replace(self.server, database=self.name("template"))
        self.admin.fetch(f"CREATE DATABASE {self.template.database}")
        self.fill(self.template)
        serials = [f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))" for table in ("users", "posts")]
        self.run(self.template, *serials)

    def make(self, subject: str) -> Target:
        target = replace(self.server, database=self.name(subject))
        self.admin.fetch(f"CREATE DATABASE {target.database} TEMPLATE {self.template.database}")
        return target

    def close(self) -> None:
        self.drop(self.template)
        super().close()


class MySQLStage(ServerStage):
    """MySQL or MariaDB: each database is filled anew."""

    kind = "mysql"
    spelling = MySQLSpelling()
    analyze = "ANALYZE TABLE users, posts, post_tags"

    def make(self, subject: str) -> Target:
        target = replace(self.server, database=self.name(subject))
        self.admin.create(target.database)
        self.fill(target)
        return target


STAGES: dict[str, type[Stage]] = {"sqlite": SQLiteStage, "postgresql": PostgreSQLStage, "mysql": MySQLStage}
