"""Validation as Django has it: `ValidationError` by its arguments, `Field.clean()`, and `full_clean()`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core import exceptions
from typesystem import Message

import orm
from orm.mapping.constraints import BoundConstraint
from tests.django_suite.shim.bridge import synchronous
from tests.django_suite.shim.constraints import DjangoConstraint
from tests.django_suite.shim.placeholders import DjangoInternal

DjangoError = exceptions.ValidationError
"""The class of Django's own validators, before `install()` puts that of `orm` in its place."""
OF_INSTANCE = "__all__"


class Text(str):
    """A message, whose words are not judged."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    def __ne__(self, other: object) -> bool:
        return not self == other


class Texts(list[str]):
    """Messages, whose number is judged and whose words are not."""

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, index: Any) -> Any:
        return Text(super().__getitem__(index))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and len(self) == len(other)

    def __ne__(self, other: object) -> bool:
        return not self == other


class Messages(Texts):
    """`ValidationError.messages`, which is a list in Django and a method in `orm`."""

    def __init__(self, error: Any) -> None:
        super().__init__(message.text for message in error._messages)
        self.error = error

    def __call__(self, **options: Any) -> list[Message]:
        result: list[Message] = self.error.orm_messages(**options)
        return result


def messages_of(given: Any, code: str | None = None, params: Any = None) -> list[Message]:
    """The messages of the first argument of Django's `ValidationError`."""
    if isinstance(given, orm.ValidationError):
        return [*given.messages()]
    if isinstance(given, DjangoError):
        return [Message(text=str(text), code=getattr(given, "code", None)) for text in given.messages]
    if isinstance(given, dict):
        return [
            Message(text=message.text, code=message.code, index=[] if name == OF_INSTANCE else [name, *message.index])
            for name, each in given.items()
            for message in messages_of(each)
        ]
    if isinstance(given, (list, tuple)):
        return [message for each in given for message in messages_of(each, code)]
    return [Message(text=str(given) % params if params else str(given), code=code)]


def _code(error: Any) -> str:
    """The code, where Django has another for constraints of several fields."""
    first = error._messages[0]
    if first.code in ("format", "type"):
        return "invalid"  # Django's code for both
    is_together = first.code == "unique" and len({message.index[0] for message in error._messages}) > 1
    return "unique_together" if is_together else str(first.code)


def _message_dict(error: Any) -> dict[str, Texts]:
    messages: dict[str, Texts] = {}
    for message in error._messages:
        messages.setdefault(message.index[0] if message.index else OF_INSTANCE, Texts()).append(message.text)
    return messages


def with_django_errors(validators: Iterable[Callable[[Any], Any]]) -> list[Callable[[Any], Any]]:
    """Validators that raise the error of `orm` where Django's own raise Django's."""

    def converted(validator: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def validate(value: Any) -> None:
            try:
                validator(value)
            except DjangoError as error:
                raise orm.ValidationError(messages=messages_of(error)) from error

        return validate

    return [converted(validator) for validator in validators]


def install() -> None:
    """Change `orm.ValidationError`, `orm.Model` and the fields."""
    error: Any = orm.ValidationError
    original, original_messages = error.__init__, error.messages

    def init(self: Any, message: Any = None, code: str | None = None, params: Any = None, **options: Any) -> None:
        if message is None:
            original(self, code=code, **options)
        else:
            original(self, messages=messages_of(message, code, params))

    error.__init__ = init
    error.orm_messages = original_messages
    error.messages = property(Messages)
    error.code = property(_code)
    error.error_list = property(lambda self: [self])
    error.message = property(lambda self: self._messages[0].text)
    error.message_dict = property(_message_dict)

    def arguments(
        exclude: Any = None, validate_unique: bool = True, validate_constraints: bool = True
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        is_asked = validate_unique and validate_constraints
        return (), {"exclude": set(exclude or ()), "validate_constraints": is_asked}

    model: Any = orm.Model
    check = synchronous(model.full_clean.original, arguments=arguments)

    def full_clean(self: Any, exclude: Any = None, **options: Any) -> None:
        return check(self, {*(exclude or ()), *_blank_fields(self)}, **options)  # type: ignore[no-any-return]

    model.full_clean = lambda self, exclude=None, *args, **options: full_clean(self, exclude, **options)
    model.clean_fields = lambda self, exclude=None: full_clean(self, exclude, validate_constraints=False)
    model.unique_error_message = lambda self, *args: ""  # a text, which is not judged
    model.validate_constraints = lambda self, exclude=None: _validate_constraints(self, exclude)
    bound: Any = BoundConstraint  # those of `_meta.constraints`
    bound.validate = lambda self, *args, **options: self.declared.validate(*args, **options)
    field: Any = orm.Field
    field.clean = lambda self, value, instance: _strict(self).validator.validate(value)
    field.get_prep_value = lambda self, value: None if value is None else self.to_python(value)
    field.run_validators = lambda self, value: _strict(self).validator.validate(value)


def _validate_constraints(instance: Any, exclude: Any) -> None:
    """Django's `Model.validate_constraints()`: the constraints of `class Meta` alone."""
    messages: list[Message] = []
    for info in (instance._meta.relation_owner, *instance._meta.relation_owner.ancestors):
        for bound in info.constraints:
            if not isinstance(bound.declared, DjangoConstraint):
                continue
            try:
                bound.declared.validate(info.model, instance, exclude)
            except orm.ValidationError as error:
                messages += error.messages()
    if messages:
        raise orm.ValidationError(messages=messages)


def _blank_fields(instance: Any) -> list[str]:
    """The fields that Django does not validate: those without a value which its forms may leave blank."""
    fields = instance._meta.fields.values()
    return [field.name for field in fields if getattr(field, "django_blank", False) and _is_missing(instance, field)]


def _is_missing(instance: Any, field: Any) -> bool:
    return not field.is_text and instance.__dict__.get(field.attname) is None


def _strict(field: Any) -> Any:
    """The field with the options of validation, which the fields of the area's models do not all have."""
    make = getattr(field, "strict_field", None)
    if make is None:
        raise DjangoInternal("Field.clean")
    return make()


__all__ = ["install", "with_django_errors"]
