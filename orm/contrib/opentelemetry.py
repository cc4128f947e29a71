"""OpenTelemetry: a span for each statement, and how long statements take, by the conventions for databases.

from orm.contrib.opentelemetry import instrument

instrument(database)
"""

from __future__ import annotations

import re
import time
from typing import Any
from weakref import WeakKeyDictionary

from orm.database.connections.database import Database
from orm.database.query_log.events import QueryEvent
from orm.database.query_log.normalized_sql import is_transaction, shape_of
from orm.database.query_log.repeated_queries import TABLE
from orm.exceptions import QueryError
from orm.utils.extras import missing_extra

try:
    from opentelemetry.metrics import MeterProvider, get_meter
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider, get_tracer
except ImportError:
    raise missing_extra("orm.contrib.opentelemetry", "opentelemetry-api") from None

__all__ = ["instrument", "uninstrument"]

OPERATION = re.compile(r"\s*\(*(\w+)")
NANOSECONDS = 1_000_000_000

_hooks: WeakKeyDictionary[Database, _Hook] = WeakKeyDictionary()


class _Hook:
    """Reports the statements of a database."""

    def __init__(
        self, database: Database, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None
    ) -> None:
        self._backend: Any = database._backend
        self._tracer = get_tracer("orm", tracer_provider=tracer_provider)
        self._duration = get_meter("orm", meter_provider=meter_provider).create_histogram(
            "db.client.operation.duration", unit="s", description="Duration of database client operations."
        )
        url = database.url
        self._of_server: dict[str, Any] = {}
        if url.database:
            self._of_server["db.namespace"] = url.database
        if url.hostname:
            self._of_server["server.address"] = url.hostname
        if url.port:
            self._of_server["server.port"] = url.port

    def __call__(self, event: QueryEvent) -> None:
        operation, table = _operation(event.sql), None if is_transaction(event.sql) else TABLE.search(event.sql)
        summary = f"{operation} {table['name']}" if table else operation
        attributes: dict[str, Any] = {
            "db.system.name": self._backend.dialect.name,
            **self._of_server,
            "db.operation.name": operation,
            "db.query.summary": summary,
        }
        if table:
            attributes["db.collection.name"] = table["name"]
        if event.error is not None:
            attributes["error.type"] = type(event.error).__qualname__
            code = getattr(event.error, "sqlstate", None)
            if code:
                attributes["db.response.status_code"] = str(code)
        self._duration.record(event.seconds, attributes)
        now = time.time_ns()
        span = self._tracer.start_span(
            summary,
            kind=SpanKind.CLIENT,
            attributes={**attributes, "db.query.text": shape_of(event.sql)},
            start_time=now - round(event.seconds * NANOSECONDS),
        )
        if event.rows is not None:
            span.set_attribute("db.response.returned_rows", event.rows)
        if event.error is not None:
            span.set_status(Status(StatusCode.ERROR, type(event.error).__name__))
        span.end(now)


def instrument(
    database: Database,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Report each statement of a database as a span, below the current one, and its time in a histogram.

    The attributes are those of OpenTelemetry's conventions for databases. `db.query.text` has `?` for each value,
    literals included. Without providers, the global ones are used.

    Raises:
        QueryError: The database is instrumented already.
    """
    if database in _hooks:
        raise QueryError("this database is instrumented already: call uninstrument(database) first")
    hook = _hooks[database] = _Hook(database, tracer_provider, meter_provider)
    database.add_hook(hook)


def uninstrument(database: Database) -> None:
    """Stop what `instrument()` began. Raises `QueryError` for a database that is not instrumented."""
    hook = _hooks.pop(database, None)
    if hook is None:
        raise QueryError("this database is not instrumented")
    database.remove_hook(hook)


def _operation(sql: str) -> str:
    match = OPERATION.match(sql)
    return match[1].upper() if match else "QUERY"
