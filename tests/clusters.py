"""Clusters of three private servers that all take writes, or elect the one that does: Galera and Group Replication."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import temporary_databases
from tests.private_servers import MariaDBServer, MySQLServer, ServerUnavailable, debian_programs, free_port

NODES = 3
GROUP = "5b1d4f7e-8c43-11ee-9c5a-0242ac120002"
JOIN_SECONDS = 60.0


@dataclass
class Galera:
    """Three nodes of MariaDB, each of which takes writes, with a database `shop`."""

    servers: list[MariaDBServer]

    @property
    def urls(self) -> list[str]:
        """The database on each of the nodes."""
        return [f"{server.url}shop" for server in self.servers]

    def start(self, number: int) -> None:
        """Start a node again, and wait until it has joined the others."""
        self.servers[number].start()
        self.wait_for(number, "Synced")

    def bootstrap(self, number: int) -> None:
        """Make a node that lost the others a cluster of its own."""
        with temporary_databases.connect(self.servers[number].url) as admin:
            admin.fetch("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=1'")
        self.wait_for(number, "Synced")

    def wait_for(self, number: int, state: str) -> None:
        """Wait until a node is in a state of Galera's."""
        end, current = time.monotonic() + JOIN_SECONDS, ""
        while time.monotonic() < end:
            errors = contextlib.suppress(*temporary_databases.CONNECT_ERRORS)
            with errors, temporary_databases.connect(self.servers[number].url) as admin:
                current = admin.fetch("SHOW STATUS LIKE 'wsrep_local_state_comment'")[0][1]
            if current == state:
                return
            time.sleep(0.1)
        raise ServerUnavailable(f"the Galera node is {current!r}, not {state!r}: {self.servers[number].log()}")


@contextlib.contextmanager
def galera() -> Iterator[Galera]:
    """A Galera cluster of Debian's packages. A node that joins copies the data of another with rsync."""
    (provider,) = [*Path("/usr/lib/galera").glob("libgalera_smm.so")] or debian_programs(
        "galera-4", "../lib/galera/libgalera_smm.so"
    )
    debian_programs("rsync", "rsync")
    debian_programs("lsof", "lsof")
    ports = [free_port() for _ in range(NODES)]
    cluster = Galera([])
    with contextlib.ExitStack() as stack:
        for number, port in enumerate(ports):
            provider_options = {
                "gmcast.listen_addr": f"tcp://127.0.0.1:{port}",
                "ist.recv_addr": f"127.0.0.1:{free_port()}",
                "gcache.size": "8M",
                # A node that does not answer is left out after two seconds, not after the default of five.
                "evs.keepalive_period": "PT0.5S",
                "evs.suspect_timeout": "PT2S",
                "evs.inactive_timeout": "PT10S",
            }
            server = MariaDBServer(
                {
                    "binlog-format": "ROW",
                    "innodb-autoinc-lock-mode": 2,
                    "innodb-flush-log-at-trx-commit": 0,
                    "innodb-log-file-size": "8M",
                    "wsrep-on": "ON",
                    "wsrep-provider": provider,
                    "wsrep-provider-options": ";".join(f"{name}={value}" for name, value in provider_options.items()),
                    "wsrep-cluster-name": "orm",
                    "wsrep-cluster-address": "gcomm://" + ",".join(f"127.0.0.1:{each}" for each in ports if number),
                    "wsrep-node-address": "127.0.0.1",
                    "wsrep-node-name": f"node_{number}",
                    "wsrep-sst-method": "rsync",
                    "wsrep-sst-receive-address": f"127.0.0.1:{free_port()}",
                    "wsrep-slave-threads": 2,
                }
            )
            cluster.servers.append(stack.enter_context(server))
            cluster.start(number)
            if number == 0:
                server.settings["wsrep-cluster-address"] = "gcomm://" + ",".join(f"127.0.0.1:{each}" for each in ports)
                with temporary_databases.connect(server.url) as admin:
                    admin.create("shop")
        yield cluster


@dataclass
class GroupReplication:
    """Three members of MySQL, with a database `shop` for a user `app`. One of them takes writes, or all of them do."""

    servers: list[MySQLServer]

    @property
    def urls(self) -> list[str]:
        """The database on each of the members."""
        return [f"mysql://app@127.0.0.1:{server.port}/shop" for server in self.servers]

    def join(self, number: int, *, bootstrap: bool = False) -> None:
        """Have a member that runs join the group, and wait until it has all of the group's data."""
        server = self.servers[number]
        with temporary_databases.connect(server.url) as admin:
            if bootstrap:
                admin.fetch("SET GLOBAL group_replication_bootstrap_group = ON")
            admin.fetch("START GROUP_REPLICATION USER='replica', PASSWORD='replica'")
            admin.fetch("SET GLOBAL group_replication_bootstrap_group = OFF")
            end = time.monotonic() + JOIN_SECONDS
            while time.monotonic() < end:
                states = admin.fetch(
                    "SELECT member_state FROM performance_schema.replication_group_members"
                    " WHERE member_id = @@global.server_uuid"
                )
                if states == [("ONLINE",)]:
                    return
                time.sleep(0.1)
        raise ServerUnavailable(f"the member is {states}, not ONLINE: {server.log()}")

    def wait_for_lost_quorum(self, number: int) -> None:
        """Wait until a member knows that it cannot reach most of the group."""
        sql = "SELECT COUNT(*) FROM performance_schema.replication_group_members WHERE member_state = 'UNREACHABLE'"
        with temporary_databases.connect(self.servers[number].url) as admin:
            end = time.monotonic() + JOIN_SECONDS
            while time.monotonic() < end:
                if admin.fetch(sql) == [(NODES - 1,)]:
                    return
                time.sleep(0.1)
        raise ServerUnavailable(f"the member has not noticed that it is alone: {self.servers[number].log()}")

    def make_group_of(self, number: int) -> None:
        """Make a member that lost the others a group of its own."""
        with temporary_databases.connect(self.servers[number].url) as admin:
            admin.fetch("SET GLOBAL group_replication_force_members = @@group_replication_local_address")
            admin.fetch("SET GLOBAL group_replication_force_members = ''")


@contextlib.contextmanager
def group_replication(*, multi_primary: bool = False) -> Iterator[GroupReplication]:
    """A group of the MySQL that `tools/servers` installs."""
    group_ports = [free_port() for _ in range(NODES)]
    group = GroupReplication([])
    with contextlib.ExitStack() as stack:
        for number, port in enumerate(group_ports):
            server = MySQLServer(
                {
                    "server-id": number + 1,
                    "report-host": "127.0.0.1",
                    "log-bin": "binlog",
                    "gtid-mode": "ON",
                    "enforce-gtid-consistency": "ON",
                    "innodb-flush-log-at-trx-commit": 0,
                    "innodb-redo-log-capacity": "16M",
                    "sync-binlog": 0,
                    "performance-schema": "ON",
                    "plugin-load-add": "group_replication.so",
                    "group-replication-group-name": GROUP,
                    "group-replication-local-address": f"127.0.0.1:{port}",
                    "group-replication-group-seeds": ",".join(f"127.0.0.1:{each}" for each in group_ports),
                    "group-replication-start-on-boot": "OFF",
                    "group-replication-recovery-get-public-key": "ON",
                    "group-replication-member-expel-timeout": 0,
                    "group-replication-single-primary-mode": "OFF" if multi_primary else "ON",
                    "group-replication-enforce-update-everywhere-checks": "ON" if multi_primary else "OFF",
                    "group-replication-message-cache-size": "128M",
                }
            )
            group.servers.append(stack.enter_context(server))
            server.start()
            with temporary_databases.connect(server.url) as admin:
                admin.fetch("SET sql_log_bin = 0")
                admin.fetch("CREATE USER 'replica'@'%' IDENTIFIED BY 'replica'")
                admin.fetch("GRANT REPLICATION SLAVE, BACKUP_ADMIN, CONNECTION_ADMIN ON *.* TO 'replica'@'%'")
                admin.fetch("CREATE USER 'app'@'%'")
                admin.fetch("GRANT ALL ON shop.* TO 'app'@'%'")
                admin.fetch("SET sql_log_bin = 1")
            group.join(number, bootstrap=number == 0)
            if number == 0:
                with temporary_databases.connect(server.url) as admin:
                    admin.create("shop")
        yield group
