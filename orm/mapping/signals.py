"""The signals that writes send, and the hooks that they call: receivers, and the hook methods of models."""

from __future__ import annotations

import copy
import inspect
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from orm.exceptions import FieldError, NotSupportedError, QueryError
from orm.relations import ManyToManySide, RelationExpression
from orm.utils.articles import with_article

if TYPE_CHECKING:
    import databases

    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclass(frozen=True)
class Receiver:
    """A function that is connected to a signal.

    `sender` is the model whose signals it receives, None for all. A receiver with `after_commit` runs when the write
    has been committed, others run in its transaction. `connect()` and `disconnect()` compare `identity`.
    """

    function: Callable[..., Any]
    sender: type[Model] | None
    after_commit: bool
    identity: Hashable

    def receives_from(self, model: type[Model]) -> bool:
        """Whether it is connected to this model, to an abstract base of it, or to all models."""
        sender = self.sender
        return sender is None or sender is model or (sender._meta.abstract and issubclass(model, sender))


class Signal:
    """A signal that writes send to receivers: `orm.post_save` and the other signals of `orm`.

    Receivers are called with keyword arguments: `signal`, `sender` (the model), and the details of the write. They may
    be async. The write raises the error of a receiver, and is rolled back.
    """

    def __init__(self, name: str, *, before_write: bool) -> None:
        self.name = name
        self.before_write = before_write
        self.receivers: list[Receiver] = []

    def __repr__(self) -> str:
        return f"<Signal {self.name}>"

    def connect(
        self,
        receiver: Callable[..., Any],
        sender: type[Model] | None = None,
        *,
        after_commit: bool = False,
        dispatch_uid: Hashable = None,
    ) -> None:
        """Call `receiver` for signals of `sender`: a model, an abstract one for its subclasses, or None for all models.

        The sender of `m2m_changed` is the through model; the relation stands for it: ``sender=Article.tags``. With
        `after_commit=True` the receiver is called when the write has been committed. Repeated calls connect a receiver
        to a sender only once; `dispatch_uid` identifies it instead of the function.

        Raises `QueryError` for a receiver that cannot be called with the signal's keyword arguments, and for
        `after_commit` of a signal that is sent before the write.
        """
        if not callable(receiver) or not _takes_keywords(receiver):
            label = getattr(receiver, "__qualname__", type(receiver).__name__)
            raise QueryError(
                f"A receiver of {self.name} is a function that takes any keyword arguments, such as "
                f"`async def receive(sender, **details)`: got {label}."
            )
        if after_commit and self.before_write:
            raise QueryError(
                f"{self.name} is sent before the write, so its receivers cannot wait for the commit: connect to "
                f"{self.name.replace('pre_', 'post_')}."
            )
        sender = _model_of(self, sender)
        identity = receiver if dispatch_uid is None else dispatch_uid
        if self._position(identity, sender) is None:
            self.receivers.append(Receiver(receiver, sender, after_commit, identity))
            hooked_models.connect_all()

    def disconnect(
        self,
        receiver: Callable[..., Any] | None = None,
        sender: type[Model] | None = None,
        *,
        dispatch_uid: Hashable = None,
    ) -> bool:
        """Undo `connect()` with the same arguments; returns whether there was such a receiver."""
        sender = _model_of(self, sender)
        position = self._position(receiver if dispatch_uid is None else dispatch_uid, sender)
        if position is None:
            return False
        del self.receivers[position]
        hooked_models.connect_all()
        return True

    def _position(self, identity: Hashable, sender: type[Model] | None) -> int | None:
        for position, each in enumerate(self.receivers):
            if each.sender is sender and each.identity == identity:
                return position
        return None

    def has_listeners(self, sender: type[Model]) -> bool:
        """Whether this model's signals have receivers."""
        hooks = sender._meta.hooks
        return hooks is not None and hooks.any(self)


def _model_of(signal: Signal, sender: Any) -> type[Model] | None:
    """The model that `sender=` names: for a many-to-many relation, its through model."""
    if isinstance(sender, RelationExpression):
        relation = sender._relation()
        sender = relation.through if isinstance(relation, ManyToManySide) else sender
    if sender is not None and (isinstance(sender, RelationExpression) or not hasattr(sender, "_meta")):
        raise FieldError(f"sender= of {signal.name} is a model, or a many-to-many relation; got {sender!r}.")
    model: type[Model] | None = sender
    return model


def _takes_keywords(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # an extension module's function, without a signature
        return True
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


pre_save = Signal("pre_save", before_write=True)
post_save = Signal("post_save", before_write=False)
pre_delete = Signal("pre_delete", before_write=True)
post_delete = Signal("post_delete", before_write=False)
m2m_changed = Signal("m2m_changed", before_write=False)
pre_bulk_create = Signal("pre_bulk_create", before_write=True)
post_bulk_create = Signal("post_bulk_create", before_write=False)
pre_bulk_update = Signal("pre_bulk_update", before_write=True)
post_bulk_update = Signal("post_bulk_update", before_write=False)
pre_update = Signal("pre_update", before_write=True)
post_update = Signal("post_update", before_write=False)

SIGNALS = (
    *(pre_save, post_save, pre_delete, post_delete, m2m_changed, pre_bulk_create, post_bulk_create),
    *(pre_bulk_update, post_bulk_update, pre_update, post_update),
)
METHODS = {pre_save: "before_save", post_save: "after_save", pre_delete: "before_delete", post_delete: "after_delete"}
"""The hook methods of models, by the signal that calls them."""
METHOD_ARGUMENTS = {pre_save: ("created", "update_fields"), post_save: ("created", "update_fields")}


def receiver(
    signal: Signal | Sequence[Signal],
    *,
    sender: type[Model] | None = None,
    after_commit: bool = False,
    dispatch_uid: Hashable = None,
) -> Callable[[FunctionT], FunctionT]:
    """A decorator that connects a function to a signal, or to several: see `Signal.connect()`.

    @orm.receiver(orm.post_save, sender=Note)
    async def remember(sender, instance, created, **details):
        await Change.objects.create(note=instance.id, created=created)
    """

    def decorate(function: FunctionT) -> FunctionT:
        for each in (signal,) if isinstance(signal, Signal) else signal:
            each.connect(function, sender, after_commit=after_commit, dispatch_uid=dispatch_uid)
        return function

    return decorate


class ModelHooks:
    """The hooks of one model, by signal: the model's own hook method, then the receivers."""

    def __init__(self, receivers: Mapping[Signal, tuple[Receiver, ...]]) -> None:
        self._receivers = receivers

    def any(self, *signals: Signal) -> bool:
        """Whether one of these signals has receivers."""
        return any(signal in self._receivers for signal in signals)

    def in_transaction(self, *signals: Signal) -> bool:
        """Whether a receiver of one of these signals runs in the transaction of the write."""
        return any(not each.after_commit for signal in signals for each in self._receivers.get(signal, ()))

    async def send(self, signal: Signal, sender: type[Model], using: databases.Database, **details: Any) -> None:
        """Call the receivers of a signal, one after the other; those with `after_commit` when it is committed."""
        for each in self._receivers.get(signal, ()):
            if each.after_commit and details.get("action", "").startswith("pre_"):
                continue  # m2m_changed is sent before the write as well
            call = partial(each.function, signal=signal, sender=sender, using=using, **details)
            if each.after_commit and signal is post_delete:
                call = partial(call, instance=copy.copy(details["instance"]))  # the deleted one loses its key
            if each.after_commit:
                await _call_after_commit(signal, using, call)
            else:
                result = call()
                if inspect.isawaitable(result):
                    await result


async def _call_after_commit(signal: Signal, database: databases.Database, call: Callable[[], Any]) -> None:
    on_commit = getattr(database, "on_commit", None)
    if on_commit is None:
        raise NotSupportedError(
            f"A receiver of {signal.name} with after_commit=True needs an orm.Database: "
            f"{with_article(type(database).__name__)} does not tell when it commits."
        )
    await on_commit(call)


class HookedModels:
    """All models that can send signals. `generation` grows with each new model and each change of the receivers."""

    def __init__(self) -> None:
        self._infos: weakref.WeakSet[ModelInfo] = weakref.WeakSet()
        self.generation = 0
        self.any_delete = False
        """Whether the deletion of a row of some model has receivers."""

    def add(self, info: ModelInfo) -> None:
        """Find the hooks of a new model."""
        self._infos.add(info)
        self._connect(info)
        self.generation += 1

    def connect_all(self) -> None:
        """Find the hooks of all models again."""
        self.any_delete = False
        for info in self._infos:
            self._connect(info)
        self.generation += 1

    def _connect(self, info: ModelInfo) -> None:
        connected = {signal: tuple(_receivers_of(info, signal)) for signal in SIGNALS}
        receivers = {signal: functions for signal, functions in connected.items() if functions}
        info.hooks = ModelHooks(receivers) if receivers else None
        self.any_delete = self.any_delete or pre_delete in receivers or post_delete in receivers


def _receivers_of(info: ModelInfo, signal: Signal) -> Iterable[Receiver]:
    model = info.model
    if info.auto_created and signal is not m2m_changed:
        return
    name = METHODS.get(signal)
    if name in info.hook_methods:
        yield Receiver(partial(_call_method, name, METHOD_ARGUMENTS.get(signal, ())), model, False, name)
    for each in signal.receivers:
        if each.receives_from(model):
            yield each


def _call_method(method: str, arguments: Sequence[str], /, instance: Model, **details: Any) -> Any:
    return getattr(instance, method)(**{name: details[name] for name in arguments})


hooked_models = HookedModels()
