"""`run()`: the result of a coroutine, in code without an event loop. One loop in a second thread runs them all.

The protocol for other modules:

- `run(awaitable)` blocks the calling thread, and returns or raises what the awaitable does. It runs in a task of its
  own whose context is the caller's: a context variable that it sets (such as the current transaction) is set in the
  caller afterwards, as if the caller had awaited it.
- A class with `__aenter__` and `__aexit__` that inherits from `BlockingContext` can be used with `with`, too.
- `current_caller()` is who runs the current code: a task, or behind `run()` the calling thread, whose calls are tasks
  of their own. What belongs to one task in asynchronous code belongs to one caller.
- `can_block()` says whether a call from here may block.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import selectors
import sys
import threading
from asyncio import events
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from typing_extensions import Self

from orm.exceptions import InterfaceError

ResultT = TypeVar("ResultT")

MISSING = object()
CONTEXT_OF_TASK = sys.version_info >= (3, 11)
"""Whether a task can be started in a context. Before, it runs in a copy of the current one."""
WATCHES_WHILE_WAITING = issubclass(selectors.DefaultSelector, getattr(selectors, "EpollSelector", ())) or issubclass(
    selectors.DefaultSelector, getattr(selectors, "KqueueSelector", ())
)
"""Whether a selector that waits notices sockets that are added meanwhile."""
MAX_STEPS = 64
"""How many callbacks a caller runs in its own thread before it leaves the rest to the loop's thread."""
PARK_SECONDS = 0.01
"""How long after a call the loop's own thread goes on: meanwhile the next call may come."""
CLOSE_SECONDS = 2.0
"""How long the end of the process waits for connections to close."""

time_limits: ContextVar[tuple[TimeLimit, ...]] = ContextVar("orm.time_limits", default=())
"""The time limits of the blocks that this context is in."""
_caller: ContextVar[object | None] = ContextVar("orm.blocking_caller", default=None)
before_exit: list[Callable[[], Awaitable[None]]] = []
"""Awaited on the loop at the end of the process."""


class SyncBlocks:
    """The `orm.sync()` blocks of all registries."""

    count = 0
    """How many are open, in all threads."""


sync_blocks = SyncBlocks()


class TimeLimit(Protocol):
    """Cancels a task at some time. Each call in its block is another task."""

    def watch(self, task: asyncio.Task[Any]) -> None:
        """Cancel this task from now on; at once if the time has passed."""


class _LendingSelector(selectors.DefaultSelector):
    """A selector that releases the loop's lock while it waits. Meanwhile another thread may run callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        """Held by the thread that runs callbacks of the loop."""
        self.loop: _Loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        loop, thread = self.loop, threading.get_ident()
        if loop.is_led and thread == loop.own_thread:
            loop.park()
            return []
        self.lock.release()
        try:
            ready = super().select(timeout)
        finally:
            self.lock.acquire()
            loop._thread_id = thread
        if loop.is_leading and thread == loop.own_thread:
            loop.park()  # a caller has begun to lead meanwhile: the steps of its call are its own thread's
            return []
        known = self.get_map()
        # Another thread may have closed a socket meanwhile, or waits for something else of it.
        return [(key, mask) for key, mask in ready if known.get(key.fd) is key]


class _Loop(asyncio.SelectorEventLoop):
    """The event loop. It runs in a thread of its own, and while one call is all that it has to do, in the caller's.

    A call begins in the caller's thread if no callback runs. What does not wait, such as a quick statement of SQLite,
    also ends there. If no other call is under way, the caller *leads*: it runs the loop until its call ends, and the
    loop's own thread is parked, so that no step of the call changes threads.
    """

    # These are asyncio's own.
    _ready: Any
    _scheduled: list[asyncio.TimerHandle]
    _thread_id: int | None
    _write_to_self: Callable[[], None]
    _run_once: Callable[[], None]
    _asyncgen_firstiter_hook: Any
    _asyncgen_finalizer_hook: Any

    def __init__(self) -> None:
        self.selector = _LendingSelector()
        self.selector.loop = self
        super().__init__(self.selector)
        self._process = os.getpid()
        self._own_thread = threading.Thread(target=self._run, name="orm.blocking", daemon=True)
        self.own_thread = 0
        self.calls = 0
        """How many calls are under way."""
        self.is_led = False
        """Whether callers have led lately: the loop's own thread does not wait for sockets then."""
        self.is_leading = False
        """Whether a caller leads now."""
        self._is_parked = False
        self._leads = 0
        self._resume = threading.Event()

    def start(self) -> None:
        """Start the loop's own thread."""
        started = threading.Event()
        self.call_soon(started.set)
        self._own_thread.start()
        started.wait()

    def end(self) -> None:
        """Stop the loop, and close it if its thread ends in time."""
        self.call_soon_threadsafe(self.stop)
        self._resume.set()
        self._own_thread.join(CLOSE_SECONDS)
        if not self._own_thread.is_alive():
            self.close()

    def _run(self) -> None:
        self.own_thread = threading.get_ident()
        with self.selector.lock:
            self.run_forever()

    def __del__(self) -> None:
        # In the child of a fork, closing it would change the parent's selector.
        if self._process == os.getpid() and not self.is_closed():
            super().__del__()

    def park(self) -> None:
        """Wait, in the loop's own thread, until callers have stopped leading, or leave something to do."""
        lock, resume = self.selector.lock, self._resume
        self._write_to_self()  # a caller that leads, and waits for sockets, looks at its task and the timers again
        self._is_parked = True
        while True:
            resume.clear()
            if self._ready and not self.is_leading:
                break
            leads = self._leads
            lock.release()
            try:
                resume.wait(PARK_SECONDS)
            finally:
                lock.acquire()
            if not self.is_leading and (resume.is_set() or leads == self._leads):
                break
        self._is_parked = self.is_led = False
        self._thread_id = self.own_thread

    def call(
        self, coroutine: Coroutine[Any, Any, ResultT], context: contextvars.Context, waiter: Waiter
    ) -> asyncio.Task[ResultT]:
        """Run a coroutine to its end; returns its task. In the calling thread, no event loop is running."""
        lock = self.selector.lock
        if not lock.acquire(False):
            return self.call_from_running_loop(coroutine, context, waiter)
        hooks = sys.get_asyncgen_hooks()
        timer = self._scheduled[0] if self._scheduled else None
        ready = self._ready
        task = None
        events._set_running_loop(self)
        sys.set_asyncgen_hooks(self._asyncgen_firstiter_hook, self._asyncgen_finalizer_hook)
        self._thread_id = threading.get_ident()
        self.calls += 1
        try:
            task = self._task(coroutine, context)
            self._run_ready()
            if self.calls == 1 and not task.done():
                self._run_until_done(task)
                self._run_ready()
        except BaseException:  # Ctrl-C in a callback
            if task is not None:
                task.cancel()
            raise
        finally:
            is_pending = task is not None and not task.done()
            if task is not None and is_pending:
                task.add_done_callback(waiter.task_ended)
            else:
                self.calls -= 1
            if self._is_parked:
                if ready or self.calls:
                    self._resume.set()
            elif ready or not WATCHES_WHILE_WAITING or (self._scheduled and self._scheduled[0] is not timer):
                self._write_to_self()  # the loop's own thread knows nothing of these yet
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)
            lock.release()
        if is_pending:  # when the lock was held: it may have ended since, and then the waiter knows
            waiter.wait(lambda: task.cancel())
        return task

    def _run_until_done(self, task: asyncio.Task[Any]) -> None:
        """Run the loop until a task ends. Ctrl-C cancels the task, and is raised when it has ended."""
        self._leads += 1
        self.is_led = self.is_leading = True
        try:
            while not task.done():
                self._run_once()
        except BaseException:
            if not task.done():
                task.cancel()
                while not task.done():
                    self._run_once()
            raise
        finally:
            self.is_leading = False

    def _run_ready(self) -> None:
        """Run callbacks that are due, and those that they make due."""
        ready = self._ready
        for _ in range(MAX_STEPS):
            if not ready:
                return
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def call_from_running_loop(
        self, coroutine: Coroutine[Any, Any, ResultT], context: contextvars.Context, waiter: Waiter
    ) -> asyncio.Task[ResultT]:
        """As `call()`, all in another thread."""
        tasks: list[asyncio.Task[ResultT]] = []

        def start() -> None:
            self.calls += 1
            task = self._task(coroutine, context)
            tasks.append(task)
            task.add_done_callback(waiter.task_ended)

        self.call_soon_threadsafe(start, context=contextvars.Context())
        self._resume.set()
        waiter.wait(lambda: tasks[0].cancel())
        return tasks[0]

    def _task(self, coroutine: Coroutine[Any, Any, ResultT], context: contextvars.Context) -> asyncio.Task[ResultT]:
        if CONTEXT_OF_TASK:
            task = asyncio.Task(coroutine, loop=self, context=context)  # type: ignore[call-arg]  # Python 3.11
        else:
            task = context.run(lambda: asyncio.Task(coroutine, loop=self))
        limits = context.get(time_limits)
        if limits:
            for limit in limits:
                limit.watch(task)
        return task


class Waiter:
    """What a caller waits on for the end of its task, in another thread."""

    __slots__ = ("_lock", "_loop")

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._lock.acquire()

    def task_ended(self, task: asyncio.Task[Any]) -> None:
        """The task has ended."""
        self._loop.calls -= 1
        self._lock.release()

    def wait(self, cancel: Callable[[], object]) -> None:
        """Wait for the end. Ctrl-C, and what another signal's handler raises, is raised when the task has ended."""
        try:
            self._lock.acquire()
        except BaseException:
            self._loop.call_soon_threadsafe(cancel)
            self._loop._resume.set()
            self._lock.acquire()  # or until a second Ctrl-C
            raise


_loop: _Loop | None = None
_loop_lock = threading.Lock()
_of_parent_processes: list[_Loop] = []
_threads = threading.local()


def _running_loop() -> _Loop:
    """The loop of this process, which is made on its first use."""
    global _loop
    with _loop_lock:
        if _loop is None:
            loop = _Loop()
            loop.start()
            _loop = loop  # now that it runs: other threads take it without the lock
            atexit.register(close)
        return _loop


def close() -> None:
    """Close the connections that the loop has opened, and the loop. The next call makes another one.

    It is called at the end of the process.
    """
    global _loop
    with _loop_lock:
        loop, _loop = _loop, None
        atexit.unregister(close)
    if loop is not None:
        loop.call_from_running_loop(_end_tasks(), contextvars.Context(), Waiter(loop))
        loop.end()


async def _end_tasks() -> None:
    """End what runs on the loop: the calls of other threads, then the connections, then what these leave behind."""
    me = asyncio.current_task()
    for task in (left := asyncio.all_tasks() - {me}):
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=CLOSE_SECONDS)
    await asyncio.wait_for(asyncio.gather(*(end() for end in before_exit), return_exceptions=True), CLOSE_SECONDS)
    for task in (left := asyncio.all_tasks() - {me}):
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=CLOSE_SECONDS)


def _after_fork() -> None:
    """In the child of a fork: the next call makes a loop. That of the parent is kept: to close it would disturb it."""
    global _loop, _loop_lock, _threads
    _loop_lock = threading.Lock()
    _threads = threading.local()
    if _loop is not None:
        _of_parent_processes.append(_loop)
        _loop = None
        atexit.unregister(close)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


def is_of_notebook(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether an event loop is that of a notebook's kernel, on which cells without `await` run as well."""
    interactive = sys.modules.get("IPython.core.getipython")
    kernel = None if interactive is None else getattr(interactive.get_ipython(), "kernel", None)
    return kernel is not None and getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None) is loop


def can_block() -> bool:
    """Whether code that is called here may wait: no event loop runs in this thread, or it is a notebook's."""
    loop = events._get_running_loop()
    return loop is None or is_of_notebook(loop)


def is_without_loop() -> bool:
    """Whether no event loop runs in this thread."""
    return events._get_running_loop() is None


def is_without_await() -> bool:
    """Whether the code that calls is that of an `orm.sync()` block, which awaits nothing."""
    return sync_blocks.count > 0 and can_block()


class Finished(Awaitable[None]):
    """What a method that has run to its end gives synchronous code, which may pass it to `run()`."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


def finished_without_await(coroutine: Coroutine[Any, Any, None], *, blocks: bool) -> Awaitable[None]:
    """The coroutine to await; if the call `blocks`, since nothing awaits it, it runs to its end at once."""
    if not blocks:
        return coroutine
    run(coroutine)
    return Finished()


def check_can_block(what: str) -> None:
    """Raise `InterfaceError` if waiting here would stop an event loop."""
    if not can_block():
        raise InterfaceError(
            f"{what} waits for the database, and an event loop runs in this thread, which would stop meanwhile: await "
            "the asynchronous form here, or call the synchronous function in a thread of its own, "
            "`await asyncio.to_thread(function)`"
        )


def current_caller() -> object | None:
    """Who runs this code: behind `run()` the calling thread, else the current task; None outside of both."""
    caller = _caller.get()
    if caller is not None:
        return caller
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


async def _await(awaitable: Awaitable[ResultT]) -> ResultT:
    return await awaitable


async def _in_copied_context(coroutine: Coroutine[Any, Any, ResultT], contexts: list[contextvars.Context]) -> ResultT:
    """The result of a coroutine; adds the context in which it ended."""
    try:
        return await coroutine
    finally:
        contexts.append(contextvars.copy_context())


def run(awaitable: Awaitable[ResultT], what: str = "orm.run()") -> ResultT:
    """What an awaitable returns, without `await`: `note = orm.run(Note.objects.get(id=1))`.

    It runs on an event loop that the process has for this, in a thread of its own; the calling thread waits. Many
    threads may call it at the same time; each has its own transactions. Ctrl-C ends the statement under way.

    Raises what the awaitable raises, and `InterfaceError` where an event loop runs already, except in a notebook.
    """
    coroutine: Coroutine[Any, Any, ResultT]
    coroutine = awaitable if asyncio.iscoroutine(awaitable) else _await(awaitable)
    outer_loop = events._get_running_loop()
    if outer_loop is not None and not can_block():
        coroutine.close()
        check_can_block(what)
    context = contextvars.copy_context()
    contexts: list[contextvars.Context] = []
    if not CONTEXT_OF_TASK:
        coroutine = _in_copied_context(coroutine, contexts)
    if _caller not in context:
        context.run(_caller.set, threading.current_thread())
    loop = _loop or _running_loop()
    waiter: Waiter = _threads.__dict__.pop("waiter", None) or Waiter(loop)
    call = loop.call if outer_loop is None else loop.call_from_running_loop
    task = call(coroutine, context, waiter)
    _threads.waiter = waiter  # not after an interruption, when its task may not have ended
    for end in contexts or (context,):
        for variable in end:
            value = end[variable]
            if variable is not _caller and variable.get(MISSING) is not value:
                variable.set(value)
    return task.result()


class BlockingContext:
    """A base class of asynchronous context managers that synchronous code enters with `with`."""

    if TYPE_CHECKING:

        async def __aenter__(self) -> Self:
            raise NotImplementedError

        async def __aexit__(
            self,
            kind: type[BaseException] | None = None,
            error: BaseException | None = None,
            traceback: TracebackType | None = None,
        ) -> Any:
            raise NotImplementedError

    def __enter__(self) -> Self:
        return run(self.__aenter__(), f"`with` of {type(self).__name__}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        return run(self.__aexit__(kind, error, traceback), f"`with` of {type(self).__name__}")
