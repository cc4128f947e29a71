"""A small database whose rows tell what became of each write, and every kind of operation on it."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import orm
from orm.database.connections.driver import CursorStream
from orm.database.sqlite.managed_driver import SerializedWriterDriver
from tests.temporary_databases import Admin, connect

SETTLE_TRIES = 5000
POOL_SIZE = 2

models = orm.ModelRegistry()
_numbers = itertools.count(1)


class Account(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100, unique=True)
    balance = orm.Integer(default=0)
    tags = orm.ManyToMany("Tag", related_name="accounts")


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


class Transfer(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    account = orm.ForeignKey(Account, on_delete=orm.CASCADE, related_name="transfers")
    batch = orm.String(max_length=100, default="", allow_blank=True)


def name(kind: str) -> str:
    return f"{kind} {next(_numbers)}"


class Server:
    """What another program sees of the database."""

    def __init__(self, url: str) -> None:
        self._path = url.removeprefix("sqlite:///") if url.startswith("sqlite") else ""
        self._admin: Admin | None = None if self._path else connect(url)
        # InnoDB's list of transactions is up to 0.1 s old; whether an idle connection is in one, the client knows.
        self._sql = (
            "SELECT pid, CASE WHEN xact_start IS NULL THEN state ELSE 'in a transaction' END, query "
            "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            if url.startswith("postgres")
            else "SELECT id, CASE command WHEN 'Sleep' THEN 'idle' ELSE command END, info "
            "FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        )
        self._others: set[int] = set()
        # Of the fixtures, or of a test before, which the server is about to close.
        self._others = {number for number, _, _ in self._connections()}

    def _connections(self) -> list[tuple[int, str, str]]:
        """The number, the state and the statement of each connection that is not one of the `_others`."""
        if self._admin is None:
            return []
        with self._admin.connection.cursor() as cursor:
            cursor.execute(self._sql)
            return [row for row in cursor.fetchall() if row[0] not in self._others]

    def close(self) -> None:
        if self._admin is not None:
            self._admin.close()

    def complaint(self, idle: int) -> str | None:
        """What is open beside so many idle connections: other connections, statements, transactions, locks."""
        if self._admin is not None:
            rows = self._connections()
            expected = ["idle"] * idle
            return None if [state for _, state, _ in rows] == expected else f"{idle} are idle, the server has {rows}"
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=0)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            return str(error)
        finally:
            connection.close()
        return None


class Bank:
    """A database with a few rows, and what is known of it."""

    def __init__(self, database: orm.Database, server: Server) -> None:
        self.database = database
        self.server = server
        self.acknowledged: set[str] = set()

    async def fill(self) -> None:
        accounts = [await Account.objects.create(name=f"account {number}", balance=number) for number in range(4)]
        tags = [await Tag.objects.create(name=f"tag {number}") for number in range(3)]
        for account in accounts:
            await account.tags.add(*tags[:2])
            await Transfer.objects.bulk_create([Transfer(account=account, batch="old") for _ in range(2)])

    def complaint(self) -> str | None:
        """What has not come back, or is still open."""
        status = self.database._backend.pool.status()
        if status.idle + status.free != POOL_SIZE or status.waiting:
            return f"the pool: {status}"
        if CursorStream.running:
            return "a stream is open"
        return self.server.complaint(status.idle)

    async def settled(self) -> str | None:
        """Wait until everything has come back; what has not, after a while."""
        complaint = None
        for _ in range(SETTLE_TRIES):
            complaint = self.complaint()
            if complaint is None:
                break
            await asyncio.sleep(0.002)
        return complaint

    def forget_quick_statements(self) -> None:
        """Have SQLite run each statement in its thread again, where it awaits."""
        driver = self.database._backend.driver
        if isinstance(driver, SerializedWriterDriver):
            driver.quick_statements._quick.clear()

    async def write(self) -> None:
        """Write a row, which is acknowledged."""
        text = name("acknowledged")
        await Account.objects.create(name=text)
        self.acknowledged.add(text)

    async def lost(self) -> set[str]:
        """The acknowledged writes that are not in the database."""
        return self.acknowledged - set(await Account.objects.values_list("name", flat=True))

    async def halves(self) -> list[str]:
        """The batches of two transfers of which one is there."""
        batches = Counter(await Transfer.objects.exclude(batch="old").values_list("batch", flat=True))
        return [batch for batch, count in batches.items() if count != 2]


# The operations


async def get(bank: Bank) -> None:
    await Account.objects.get(name="account 1")


async def fetch(bank: Bank) -> None:
    await Account.objects.filter(balance__gte=0).order_by("id")[:10]


async def aggregate(bank: Bank) -> None:
    await Account.objects.aggregate(total=orm.Sum("balance"))


async def explain(bank: Bank) -> None:
    await Account.objects.filter(name="account 1").explain()


async def create(bank: Bank) -> None:
    text = name("created")
    await Account.objects.create(name=text)
    bank.acknowledged.add(text)


async def save(bank: Bank) -> None:
    account = Account(name=name("saved"))
    await account.save()
    account.balance = 1
    await account.save()
    bank.acknowledged.add(account.name)


async def delete(bank: Bank) -> None:
    await Account.objects.filter(name__startswith="saved").delete()
    await Account.objects.filter(name="account 3").delete()
    await Account.objects.create(name="account 3")


async def bulk_create(bank: Bank) -> None:
    accounts = [Account(name=name("bulk")) for _ in range(20)]
    await Account.objects.bulk_create(accounts, batch_size=10)
    bank.acknowledged |= {account.name for account in accounts}


async def bulk_update(bank: Bank) -> None:
    accounts = await Account.objects.filter(name__startswith="account")
    await Account.objects.bulk_update(accounts, ["balance"])


async def update(bank: Bank) -> None:
    await Account.objects.filter(name__startswith="account").update(balance=orm.F("balance") + 0)


async def upsert(bank: Bank) -> None:
    unique_fields = [] if bank.database.url.dialect == "mysql" else ["name"]
    await Account.objects.upsert([Account(name="account 1", balance=1)], unique_fields=unique_fields)


async def get_or_create(bank: Bank) -> None:
    text = name("got")
    await Account.objects.get_or_create(name=text)
    bank.acknowledged.add(text)


async def update_or_create(bank: Bank) -> None:
    await Account.objects.update_or_create(name="account 2", defaults={"balance": 2})


async def create_graph(bank: Bank) -> None:
    text = name("graph")
    await Account.objects.create_graph({"name": text, "transfers": [{"batch": text}, {"batch": text}]})
    bank.acknowledged.add(text)


async def graph(bank: Bank) -> None:
    await Account.objects.filter(name__startswith="account").graph("transfers", "tags")


async def prefetch(bank: Bank) -> None:
    await Account.objects.filter(name__startswith="account").prefetch_related("transfers", "tags")


async def stream(bank: Bank) -> None:
    async for _ in Account.objects.filter(name__startswith="account"):
        pass


async def stream_left_early(bank: Bank) -> None:
    async for _ in Account.objects.filter(name__startswith="account"):
        break


async def stream_closed_early(bank: Bank) -> None:
    async with aclosing(aiter(Account.objects.filter(name__startswith="account"))) as accounts:  # type: ignore[type-var]
        async for _ in accounts:
            await Account.objects.filter(name="account 1").update(balance=1)
            break


async def stream_in_transaction(bank: Bank) -> None:
    async with bank.database.transaction():
        async for account in Account.objects.filter(name__startswith="account"):
            await Account.objects.filter(pk=account.pk).update(balance=1)


async def many_to_many(bank: Bank) -> None:
    account = await Account.objects.get(name="account 0")
    tags = await Tag.objects.order_by("id")
    await account.tags.set(tags[1:])
    await account.tags.add(tags[0])
    await account.tags.remove(tags[0])


async def transaction(bank: Bank) -> None:
    batch = name("batch")
    account = await Account.objects.get(name="account 0")
    async with bank.database.transaction():
        await Transfer.objects.create(account=account, batch=batch)
        await Transfer.objects.create(account=account, batch=batch)
        await bank.database.on_commit(lambda: None)
    assert await Transfer.objects.filter(batch=batch).count() == 2


async def nested(bank: Bank) -> None:
    batch = name("batch")
    account = await Account.objects.get(name="account 0")
    async with bank.database.transaction():
        async with bank.database.transaction():
            await Transfer.objects.create(account=account, batch=batch)
        with suppress(KeyError):
            async with bank.database.transaction():
                await Transfer.objects.create(account=account, batch="undone")
                raise KeyError
        await Transfer.objects.create(account=account, batch=batch)


async def rolled_back(bank: Bank) -> None:
    with suppress(KeyError):
        async with bank.database.transaction():
            await Tag.objects.create(name="undone")
            raise KeyError


async def read_only(bank: Bank) -> None:
    async with bank.database.transaction(readonly=True):
        await Account.objects.count()


async def by_hand(bank: Bank) -> None:
    transaction = await bank.database.transaction()
    try:
        await Tag.objects.create(name="by hand")
    finally:
        await transaction.rollback()


async def select_for_update(bank: Bank) -> None:
    async with bank.database.transaction():
        await Account.objects.filter(name="account 1").select_for_update().first()


async def connection(bank: Bank) -> None:
    async with bank.database.connection() as connection:
        await connection.fetch_all("SELECT 1")
        await connection.fetch_one("SELECT 1")
        await connection.execute("UPDATE account SET balance = 0 WHERE id = 0")


async def state_on_the_connection(bank: Bank) -> None:
    sql = {"sqlite": "PRAGMA cache_size = -2000", "postgresql": "SET work_mem = '5MB'", "mysql": "SET @a = 1"}
    await bank.database.execute(sql[bank.database.url.dialect])


async def iterate(bank: Bank) -> None:
    async for _ in bank.database.iterate("SELECT * FROM account"):
        pass


async def raw(bank: Bank) -> None:
    await Account.objects.raw("SELECT * FROM account")


async def session(bank: Bank) -> None:
    text = name("session")
    async with orm.Session(bank.database) as unit:
        account = await Account.objects.get(name="account 1")
        account.balance += 1
        new = Account(name=text)
        unit.add_all([new, Transfer(account=new, batch=text), Transfer(account=new, batch=text)])
        await unit.commit()
    bank.acknowledged.add(text)


async def session_with_savepoint(bank: Bank) -> None:
    async with orm.Session(bank.database) as unit:
        async with unit.begin_nested():
            unit.add(Account(name=name("nested")))
            await Account.objects.count()
        await unit.rollback()


async def update_graph(bank: Bank) -> None:
    account = await Account.objects.get(name="account 2")
    text = name("updated graph")
    rows = [{"batch": text}, {"batch": text}]
    await Account.objects.update_graph({"id": account.id, "balance": 5, "transfers": rows})


async def advisory_lock(bank: Bank) -> None:
    async with bank.database.advisory_lock("bank"):
        await Account.objects.count()


async def joined(bank: Bank) -> None:
    text = name("joined")
    async with bank.database.transaction():
        account = await Account.objects.create(name=text)
        await asyncio.gather(*(Transfer.objects.create(account=account, batch=text) for _ in range(2)))
    bank.acknowledged.add(text)


async def pages(bank: Bank) -> None:
    await Account.objects.order_by("id").paginate(1, 2)
    await Account.objects.order_by("id").page(size=2)


async def logged(bank: Bank) -> None:
    with orm.track_queries():
        await create(bank)
        await graph(bank)


OPERATIONS: tuple[Callable[[Bank], Awaitable[None]], ...] = (
    *(get, fetch, aggregate, explain, create, save, delete, bulk_create, bulk_update, update, upsert, get_or_create),
    *(update_or_create, create_graph, graph, prefetch, stream, stream_left_early, stream_closed_early),
    *(stream_in_transaction, many_to_many, transaction, nested, rolled_back, read_only, by_hand, select_for_update),
    *(connection, state_on_the_connection, iterate, raw, logged, session, session_with_savepoint, update_graph),
    *(advisory_lock, joined, pages),
)
