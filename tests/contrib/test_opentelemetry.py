"""`orm.contrib.opentelemetry`: the spans and times that OpenTelemetry's SDK gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import orm
from orm.contrib.opentelemetry import instrument, uninstrument

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100, unique=True)


class Telemetry:
    def __init__(self, database: orm.Database) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])
        instrument(database, tracer_provider=self.tracers, meter_provider=self.meters)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
async def telemetry(database: orm.Database) -> AsyncIterator[Telemetry]:
    models.database = database
    await models.create_all()
    telemetry = Telemetry(database)
    yield telemetry
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()


async def test_a_span_of_each_statement(telemetry: Telemetry, database: orm.Database) -> None:
    await Note.objects.filter(text="secret")
    [span] = telemetry.spans
    attributes: dict[str, Any] = dict(span.attributes or {})
    assert (span.name, span.kind, span.status.status_code) == ("SELECT note", SpanKind.CLIENT, StatusCode.UNSET)
    assert attributes.pop("db.system.name") in ("sqlite", "postgresql", "mysql", "mariadb")
    assert attributes.pop("db.namespace") == database.url.database
    assert attributes.pop("server.address", None) == database.url.hostname
    assert attributes.pop("server.port", None) == database.url.port
    assert "secret" not in attributes["db.query.text"]
    assert attributes.pop("db.query.text").endswith("= ?")
    assert attributes == {
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT note",
        "db.collection.name": "note",
        "db.response.returned_rows": 0,
    }
    assert span.start_time and span.end_time and span.start_time < span.end_time


async def test_spans_are_below_the_current_one(telemetry: Telemetry, database: orm.Database) -> None:
    with telemetry.tracers.get_tracer("test").start_as_current_span("request") as request:
        async with database.transaction():
            await Note.objects.create(text="Call Mum.")
    *statements, last = telemetry.spans
    assert last.name == "request"
    assert [span.name.split()[0] for span in statements][1:] == ["INSERT", "COMMIT"]
    for span in statements:
        assert span.parent and span.parent.span_id == request.get_span_context().span_id


async def test_a_statement_that_failed(telemetry: Telemetry) -> None:
    await Note.objects.create(text="secret")
    with pytest.raises(orm.UniqueViolation):
        await Note.objects.create(text="secret")
    span = telemetry.spans[-1]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes and span.attributes["error.type"]
    assert "secret" not in f"{span.attributes} {span.status.description}"


async def test_the_time_is_a_histogram(telemetry: Telemetry) -> None:
    await Note.objects.count()
    await Note.objects.count()
    data = telemetry.reader.get_metrics_data()
    assert data
    [metric] = data.resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit) == ("db.client.operation.duration", "s")
    [point] = metric.data.data_points
    assert getattr(point, "count", None) == 2


async def test_it_ends(telemetry: Telemetry, database: orm.Database) -> None:
    with pytest.raises(orm.QueryError, match="instrumented already"):
        instrument(database)
    uninstrument(database)
    await Note.objects.count()
    assert not telemetry.spans
    with pytest.raises(orm.QueryError, match="not instrumented"):
        uninstrument(database)
