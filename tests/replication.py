"""A primary and its replicas, as private servers: PostgreSQL's by streaming, MariaDB's and MySQL's by GTID."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import temporary_databases
from tests.private_servers import MariaDBServer, MySQLServer, PostgreSQLServer, PrivateServer


@dataclass
class Replication:
    """The URLs of a primary and of its replicas, and their servers, the primary's first."""

    primary: str
    replicas: list[str]
    servers: list[PrivateServer] = field(repr=False)

    def stop(self, number: int) -> None:
        """Kill the process of a replica."""
        self.servers[number + 1].kill()

    def start(self, number: int) -> None:
        """Start a replica again."""
        self.servers[number + 1].start()


@contextlib.contextmanager
def postgresql_replication(
    replicas: int = 2, *, settings: Mapping[str, object] | None = None, binaries: Path | None = None
) -> Iterator[Replication]:
    """PostgreSQL's streaming replication."""
    with contextlib.ExitStack() as stack:
        settings = {"fsync": "off", "max_wal_senders": 10, "hot_standby": "on", **(settings or {})}
        primary = stack.enter_context(PostgreSQLServer(settings, binaries=binaries))
        primary.start()
        servers = [primary]
        for number in range(replicas):
            replica = PostgreSQLServer(settings, copy_of=primary, application_name=f"replica_{number}")
            servers.append(stack.enter_context(replica))
            replica.start()
        yield Replication(primary.url, [server.url for server in servers[1:]], [*servers])


@contextlib.contextmanager
def mariadb_replication(replicas: int = 1) -> Iterator[Replication]:
    """MariaDB's replication by GTID, with a database `shop` for a user `app`."""
    with contextlib.ExitStack() as stack:
        servers: list[PrivateServer] = []
        for number in range(replicas + 1):
            settings: dict[str, object] = {
                "server-id": number + 1,
                "log-bin": None,
                "innodb-flush-log-at-trx-commit": 0,
            }
            server = stack.enter_context(MariaDBServer({**settings, **({"read-only": None} if number else {})}))
            server.start()
            servers.append(server)
            with temporary_databases.connect(server.url) as admin:
                if number:
                    admin.fetch(
                        f"CHANGE MASTER TO master_host='127.0.0.1', master_port={servers[0].port},"
                        " master_user='replica', master_password='replica', master_use_gtid=slave_pos"
                    )
                    admin.fetch("START SLAVE")
                    continue
                admin.fetch("CREATE USER 'replica'@'%' IDENTIFIED BY 'replica'")
                admin.fetch("GRANT REPLICATION SLAVE ON *.* TO 'replica'@'%'")
                admin.fetch("CREATE USER 'app'@'%'")  # root may write to a server that is read-only
                admin.fetch("GRANT ALL ON shop.* TO 'app'@'%'")
                admin.fetch("GRANT REPLICATION SLAVE ADMIN, SLAVE MONITOR ON *.* TO 'app'@'%'")
                admin.create("shop")
        app = [server.url.replace("root@", "app@") + "shop" for server in servers]
        yield Replication(app[0], app[1:], servers)


@contextlib.contextmanager
def mysql_replication(replicas: int = 1) -> Iterator[Replication]:
    """MySQL's replication by GTID, with a database `shop` for a user `app`."""
    with contextlib.ExitStack() as stack:
        servers: list[PrivateServer] = []
        for number in range(replicas + 1):
            settings: dict[str, object] = {
                "server-id": number + 1,
                "log-bin": None,
                "gtid-mode": "ON",
                "enforce-gtid-consistency": "ON",
                "innodb-flush-log-at-trx-commit": 0,
            }
            server = stack.enter_context(MySQLServer({**settings, **({"read-only": None} if number else {})}))
            server.start()
            servers.append(server)
            with temporary_databases.connect(server.url) as admin:
                if number:
                    admin.fetch(
                        f"CHANGE REPLICATION SOURCE TO source_host='127.0.0.1', source_port={servers[0].port},"
                        " source_user='replica', source_password='replica', source_auto_position=1,"
                        " get_source_public_key=1"
                    )
                    admin.fetch("START REPLICA")
                    continue
                admin.fetch("CREATE USER 'replica'@'%' IDENTIFIED BY 'replica'")
                admin.fetch("GRANT REPLICATION SLAVE ON *.* TO 'replica'@'%'")
                admin.fetch("CREATE USER 'app'@'%'")  # root may write to a server that is read-only
                admin.fetch("GRANT ALL ON shop.* TO 'app'@'%'")
                admin.fetch("GRANT REPLICATION CLIENT ON *.* TO 'app'@'%'")
                admin.create("shop")
        app = [server.url.replace("root@", "app@") + "shop" for server in servers]
        yield Replication(app[0], app[1:], servers)
