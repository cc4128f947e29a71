"""Private servers with a certificate for `localhost`, which an authority of their own has signed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.private_servers import MariaDBServer, PostgreSQLServer, PrivateServer, debian_postgresql


@dataclass
class TLSServer:
    """A server, and the files of the authority that signed its certificate and of another one."""

    port: int
    authority: Path
    other_authority: Path

    def url(self, scheme: str, host: str = "localhost", *, user: str, database: str, **options: str) -> str:
        """The URL of a database on it."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"{scheme}://{user}@{host}:{self.port}/{database}?{query}"


def _certificates(server: PrivateServer) -> tuple[Path, Path]:
    """The files of two authorities; the first one signs the server's certificate, `server.pem` with `server.key`."""
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(server.directory / "server.pem")
    certificate.private_key_pem.write_to_path(server.directory / "server.key")
    authority.cert_pem.write_to_path(server.directory / "authority.pem")
    other.cert_pem.write_to_path(server.directory / "other.pem")
    for path in server.directory.glob("*.*"):
        path.chmod(0o600)
        if server.user:
            shutil.chown(path, server.user)
    return server.directory / "authority.pem", server.directory / "other.pem"


def _names(server: PrivateServer, settings: tuple[str, str]) -> dict[str, object]:
    """The settings that name the files of the server's certificate and of its key."""
    return dict(zip(settings, (server.directory / "server.pem", server.directory / "server.key"), strict=True))


@contextlib.contextmanager
def postgresql_with_tls() -> Iterator[TLSServer]:
    """Debian's PostgreSQL, because that of the package has no TLS."""
    with PostgreSQLServer({"ssl": "on", "fsync": "off"}, binaries=debian_postgresql()) as server:
        files = _certificates(server)
        server.settings |= _names(server, ("ssl_cert_file", "ssl_key_file"))
        server.start()
        yield TLSServer(server.port, *files)


@contextlib.contextmanager
def mariadb_with_tls() -> Iterator[TLSServer]:
    """Debian's MariaDB."""
    with MariaDBServer() as server:
        files = _certificates(server)
        server.settings |= _names(server, ("ssl-cert", "ssl-key"))
        server.start()
        yield TLSServer(server.port, *files)
