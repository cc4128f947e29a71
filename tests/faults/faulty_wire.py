"""A wire to a server that delays, cuts, stalls or corrupts what it carries: a TCP proxy."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import databases

from tests.stream_servers import stream_server

DELAY_SECONDS = 0.02


class Fault(enum.Enum):
    """What becomes of one piece of what is sent."""

    DELAY = "it, and all after it, arrives late"
    CUT = "the connection ends before it"
    CUT_WITHIN = "the connection ends in the middle of it"
    STALL = "neither it nor anything after it arrives, and the connection stays open"
    CORRUPT = "one of its bytes is changed"


class Wire:
    """Passes on what clients and a server send to each other. After `fail` one piece of it does not arrive as it was.

    Attributes:
        failed: whether that piece was sent.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._fault: Fault | None = None
        self._to_server = False
        self._left = 0
        self._byte = 0
        self.failed = False

    def fail(self, fault: Fault, number: int, *, to_server: bool, byte: int = 0) -> None:
        """Apply a fault to piece number `number`, from 1, of those that are sent from now on in this direction."""
        self._fault, self._left, self._to_server, self._byte, self.failed = fault, number, to_server, byte, False

    def work(self) -> None:
        """Pass everything on as it is; a connection that is stalled stays so."""
        self._fault = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client to its end."""
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            return
        stalled = asyncio.Event()
        ways = (
            asyncio.create_task(self._pass_on(reader, server_writer, stalled, to_server=True)),
            asyncio.create_task(self._pass_on(server_reader, writer, stalled, to_server=False)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            server_writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stalled: asyncio.Event, *, to_server: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                fault = self._fault_of(to_server)
                if fault is Fault.STALL:
                    stalled.set()
                if stalled.is_set():
                    continue
                if fault in (Fault.CUT, Fault.CUT_WITHIN):
                    writer.write(data[: len(data) // 2] if fault is Fault.CUT_WITHIN else b"")
                    return
                if fault is Fault.CORRUPT:
                    place = self._byte % len(data)
                    data = data[:place] + bytes([data[place] ^ 0x5A]) + data[place + 1 :]
                if fault is Fault.DELAY:
                    await asyncio.sleep(DELAY_SECONDS)
                writer.write(data)
                await writer.drain()

    def _fault_of(self, to_server: bool) -> Fault | None:
        """The fault of the piece that is sent now."""
        if self._fault is None or to_server != self._to_server:
            return None
        self._left -= 1
        if self._left == 0 or (self._left < 0 and self._fault is Fault.DELAY):
            self.failed = True
            return self._fault
        return None


@asynccontextmanager
async def faulty_wire(url: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to the server of a URL, and the URL of the same database through it."""
    target = databases.DatabaseURL(url)
    wire = Wire(target.hostname or "127.0.0.1", target.port or 0)
    async with stream_server(wire.serve) as port:
        yield wire, str(target.replace(hostname="127.0.0.1", port=port))
