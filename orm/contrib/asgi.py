"""Middleware for any ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, unquote

from orm.database.connections.database import Database

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class SessionPositionMiddleware:
    """Lets each client read what its own requests wrote, on replicas too.

    A cookie keeps the position of the client's last write, so that requests of other clients do not wait for it. It
    expires after `max_age` seconds, which must be more than the lag of any replica.

    >>> app = SessionPositionMiddleware(app, database)
    """

    def __init__(
        self, app: Application, database: Database, *, cookie: str = "orm_position", max_age: int = 60
    ) -> None:
        self.app = app
        self.database = database
        self.cookie = cookie
        self.max_age = max_age

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        token = self._token(scope)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                position = await self.database.position_token()
                if position is not None and position != token:
                    attributes = f"Max-Age={self.max_age}; Path=/; HttpOnly; SameSite=Lax"
                    cookie = f"{self.cookie}={quote(position, safe='')}; {attributes}"
                    message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode())]
            await send(message)

        async with self.database.session_position(token):
            await self.app(scope, receive, send_with_cookie)

    def _token(self, scope: Scope) -> str | None:
        """The token of the request's cookie; None if there is none."""
        # HTTP/2 may divide the cookies among several headers.
        headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
        try:
            morsel = SimpleCookie("; ".join(headers)).get(self.cookie)
        except CookieError:
            return None
        return None if morsel is None else unquote(morsel.value)


class TransactionMiddleware:
    """Runs each request that may write in a transaction, which is committed before the answer is sent.

        app.add_middleware(TransactionMiddleware, database=database)

    An answer with a status of 400 and more, and an error that leaves the application, roll it back. What runs after the
    answer has begun is outside of it: background tasks, and the later parts of an answer that is streamed.

    Args:
        app: The application.
        database: The database.
        methods: The methods of the requests that get a transaction.
        options: Those of `Database.transaction()`.
    """

    def __init__(
        self,
        app: Application,
        database: Database,
        *,
        methods: Iterable[str] = ("POST", "PUT", "PATCH", "DELETE"),
        **options: Any,
    ) -> None:
        self.app = app
        self.database = database
        self.methods = frozenset(methods)
        self.options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] not in self.methods:
            await self.app(scope, receive, send)
            return
        transaction = self.database.transaction(**self.options)
        await transaction.start()
        is_open = True
        start: Message | None = None

        async def end(*, commit: bool) -> None:
            nonlocal is_open
            is_open = False
            await (transaction.commit() if commit else transaction.rollback())

        async def send_after_the_end(message: Message) -> None:
            nonlocal start
            if is_open and message["type"] == "http.response.start":
                start = message  # It is held back, because the commit may still fail.
                return
            if start is not None:
                held, start = start, None
                await end(commit=held["status"] < 400)
                await send(held)
            await send(message)

        try:
            await self.app(scope, receive, send_after_the_end)
        finally:
            if is_open:
                await end(commit=False)
