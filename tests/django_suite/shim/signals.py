"""`django.db.models.signals`: the signals of `orm`, whose receivers wait for what they do to the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any

from sqlalchemy.util.concurrency import greenlet_spawn

import orm


class Signal:
    """A signal of `orm` with synchronous receivers, to which Django's alias of the database is told."""

    def __init__(self, signal: orm.Signal) -> None:
        self.signal = signal
        self.lock = threading.Lock()

    def connect(
        self, receiver: Callable[..., Any], sender: Any = None, weak: bool = True, dispatch_uid: Hashable = None
    ) -> None:
        """As in Django."""

        async def receive(**details: Any) -> None:
            await greenlet_spawn(receiver, **{**details, "signal": self, "using": "default"})

        self.signal.connect(receive, sender, dispatch_uid=dispatch_uid or receiver)

    def disconnect(self, receiver: Any = None, sender: Any = None, dispatch_uid: Hashable = None) -> bool:
        """As in Django."""
        return self.signal.disconnect(sender=sender, dispatch_uid=dispatch_uid or receiver)

    def has_listeners(self, sender: Any = None) -> bool:
        """As in Django."""
        return self.signal.has_listeners(sender)

    def _clear_dead_receivers(self) -> None:
        """As in Django, whose receivers are weak references; ours are not."""

    @property
    def receivers(self) -> list[Any]:
        """The receivers, whose number tests compare."""
        return self.signal.receivers


SIGNALS = {
    name: Signal(getattr(orm, name)) for name in ("m2m_changed", "post_delete", "post_save", "pre_delete", "pre_save")
}
