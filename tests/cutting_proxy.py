"""A proxy before a server, which cuts the connections that send a certain text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import databases

from tests.stream_servers import stream_server


class CuttingProxy:
    """Passes bytes on between clients and a server.

    When a client sends `cut_at`, the server gets the bytes, the client gets no answer, and both are disconnected.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self.cut_at: bytes | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client to its end."""
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        answers = asyncio.create_task(self._pass_on(server_reader, writer))
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    if self.cut_at is not None and self.cut_at in data:
                        answers.cancel()
                        await asyncio.wait([answers])
                        server_writer.write(data)
                        await server_writer.drain()
                        await server_reader.read(1)  # the server has answered, so it is done
                        break
                    server_writer.write(data)
                    await server_writer.drain()
        finally:
            answers.cancel()
            server_writer.close()

    @staticmethod
    async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def cutting_proxy(url: str) -> AsyncIterator[tuple[CuttingProxy, str]]:
    """A proxy before the server of a URL, and the URL of the same database through the proxy."""
    target = databases.DatabaseURL(url)
    proxy = CuttingProxy(target.hostname or "127.0.0.1", target.port or 0)
    async with stream_server(proxy.serve) as port:
        yield proxy, str(target.replace(hostname="127.0.0.1", port=port))
