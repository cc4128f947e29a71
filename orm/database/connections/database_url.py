"""The URL of a database: its checks, whose messages show no password, and the servers that it names."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from databases.core import DatabaseURL

from orm.exceptions import InterfaceError

SECRET = "pass"  # is in the name of each option that holds a password, or names the file of one
HIDDEN = "********"
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9.+-]*://")
SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\[\]:]*)(?::(?P<port>[0-9]+))?")
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
ESCAPES = "write the characters # / ? @ : [ ] % of user names, passwords and files as " + ", ".join(
    f"{character} {quote(character, safe='')}" for character in "#/?@:[]%"
)


class SafeURL(DatabaseURL):
    """A `DatabaseURL` whose `repr()` shows no password, even if it is in the query part or makes the URL invalid."""

    @property
    def components(self) -> SplitResult:
        """The parts of the URL. Raises ValueError for brackets that hold no IPv6 address.

        From Python 3.14 on, `urlsplit` refuses brackets that are not those of the first server.
        """
        if not hasattr(self, "_components"):
            before, slashes, rest = self._url.partition("://")
            end = re.search("[/?#]", rest)
            netloc = rest[: end.start()] if end else rest
            userinfo, _, servers = netloc.rpartition("@")
            if set("[]") & set(BRACKETS.sub("", servers) + userinfo):
                raise ValueError("brackets that hold no IPv6 address")
            for address in BRACKETS.findall(servers):
                IPv6Address(address)
            self._components = urlsplit(f"{before}{slashes}{rest[len(netloc) :]}")._replace(netloc=netloc)
        return self._components

    @property
    def obscure_password(self) -> str:
        """The URL without its passwords, for messages."""
        scheme = SCHEME.match(self._url)
        if scheme is None or not is_valid(self) or _servers(self, 0) is None:
            return f"{scheme[0] if scheme else ''}{HIDDEN}"
        return self._with_passwords(HIDDEN)

    @property
    def without_password(self) -> str:
        """The URL without its passwords, for source code."""
        return self._with_passwords("")

    def _with_passwords(self, text: str) -> str:
        """The URL with this text in place of each password; without them, if the text is empty."""
        parts = self.components
        if not parts.netloc:
            return self._url
        userinfo, at, servers = parts.netloc.rpartition("@")
        user, colon, _ = userinfo.partition(":")
        query = [(name, text if SECRET in name.lower() else value) for name, value in parse_qsl(parts.query)]
        query = [(name, value) for name, value in query if value]
        netloc = f"{user}{colon + text if text else ''}{at}{servers}"
        return parts._replace(netloc=netloc, query=urlencode(query, safe="*/,:")).geturl()


def check_url(url: SafeURL) -> None:
    """Raise `InterfaceError` if this is not the URL of a database. The message shows no part of it."""
    if SCHEME.match(url._url) is None:
        raise InterfaceError(
            "the URL of a database begins with its kind, such as postgresql://, mysql:// or sqlite:///"
        )
    if not is_valid(url):
        raise InterfaceError(f"the URL of a database is not valid: {ESCAPES}")
    if _servers(url, 0) is None:
        raise InterfaceError(f"the URL of a database has an invalid host or port: {ESCAPES}")


def is_valid(url: DatabaseURL) -> bool:
    """Whether a URL can be read, and has no part after a ``#``."""
    try:
        return not url.components.fragment and "#" not in url._url
    except ValueError:  # brackets that hold no IPv6 address
        return False


def servers_of(url: DatabaseURL, default_port: int) -> list[tuple[str, int]]:
    """The hosts of a URL and their ports, in their order; empty if it names none."""
    return _servers(url, default_port) or []


def _servers(url: DatabaseURL, default_port: int) -> list[tuple[str, int]] | None:
    parts = url.components
    pairs: list[tuple[str, int]] = []
    if parts.netloc == ":memory:":  # a common spelling of SQLite's database in memory
        return pairs
    for server in filter(None, parts.netloc.rpartition("@")[2].split(",")):
        match = SERVER.fullmatch(server)
        port = int((match and match["port"]) or default_port)
        if match is None or port > 65535 or "@" in parts.path:  # the slash is a part of the user name or the password
            return None
        pairs.append((unquote(match["host"].strip("[]")) or "localhost", port))  # %2Fvar%2Frun is a socket's folder
    return pairs


def display_name(url: DatabaseURL, name: str, default_port: int) -> str:
    """The database and its servers, for messages."""
    servers = servers_of(url, default_port) or [(url.hostname or "localhost", default_port)]
    return f"{name} at {','.join(f'{host}:{port}' for host, port in servers)}, database {url.database!r}"
