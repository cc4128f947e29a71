"""Options in the query part of a MySQL or MariaDB URL, as MySQL's own clients name them."""

import ssl
from typing import Any

from databases.core import DatabaseURL

from orm.exceptions import InterfaceError

# Options that go to the driver, with their types; the names of `databases` for those of the pool.
ARGUMENTS: dict[str, tuple[str, type]] = {
    "min_size": ("minsize", int),
    "max_size": ("maxsize", int),
    "pool_recycle": ("pool_recycle", float),
    "connect_timeout": ("connect_timeout", int),
    "stmt_cache_size": ("stmt_cache_size", int),
    "unix_socket": ("unix_socket", str),
    "init_command": ("init_command", str),
    "charset": ("charset", str),
    "target_session_attrs": ("target_session_attrs", str),
}
# The values of `target_session_attrs`, as in libpq: whether the server is read-only (None: either), in their order.
SERVER_ROLES: dict[str, tuple[bool | None, ...]] = {
    "any": (None,),
    "read-write": (False,),
    "primary": (False,),
    "read-only": (True,),
    "standby": (True,),
    "prefer-standby": (True, None),
}
SSL_MODES = ("disabled", "required", "verify_ca", "verify_identity")
SSL_OPTIONS = ("ssl", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key")


def url_options(url: DatabaseURL) -> dict[str, Any]:
    """The arguments of the driver that a URL's query part gives. Raises `InterfaceError` for an unknown option."""
    options: dict[str, str] = dict(url.options)
    tls = {name: options.pop(name) for name in SSL_OPTIONS if name in options}
    arguments: dict[str, Any] = {}
    for name, value in options.items():
        if name not in ARGUMENTS:
            known = ", ".join(sorted([*ARGUMENTS, *SSL_OPTIONS]))
            raise InterfaceError(f"the URL of a MySQL database has no option {name}; those it has are {known}")
        argument, type_ = ARGUMENTS[name]
        try:
            arguments[argument] = type_(value)
        except ValueError:
            raise InterfaceError(f"{name} in the URL of a MySQL database is a number") from None
    context = tls_context(tls)
    return arguments if context is None else {**arguments, "ssl": context}


def server_roles(name: str) -> tuple[bool | None, ...]:
    """The roles that ``target_session_attrs`` accepts, in order of preference; `InterfaceError` for another name."""
    if name not in SERVER_ROLES:
        raise InterfaceError(f"target_session_attrs is one of {', '.join(SERVER_ROLES)}, not {name!r}")
    return SERVER_ROLES[name]


def tls_context(options: dict[str, str]) -> ssl.SSLContext | None:
    """The TLS settings that these options ask for, as MySQL's clients read them; None for a connection without TLS.

    ``required`` encrypts without a look at the certificate, unless ``ssl_ca`` names what it must be signed by;
    ``verify_identity`` wants the server's name in it as well. Raises `InterfaceError` for an unknown mode.
    """
    default = "verify_ca" if "ssl_ca" in options else "required" if options else "disabled"
    if options.get("ssl", "").lower() in ("false", "0"):
        default = "disabled"
    mode = options.get("ssl_mode", default).lower().replace("-", "_")
    if mode not in SSL_MODES:
        raise InterfaceError(f"ssl_mode in the URL of a MySQL database is one of {', '.join(SSL_MODES)}")
    if mode == "disabled":
        return None
    context = ssl.create_default_context(cafile=options.get("ssl_ca"))
    context.check_hostname = mode == "verify_identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    if "ssl_cert" in options:
        context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"))
    return context
