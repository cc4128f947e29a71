"""The option `validators=`: functions that check a field's values after its own validation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import typesystem
from typesystem import Message, ValidationError

from orm.exceptions import FieldError

ValidatorFunction = Callable[[Any], object]

# As in Django, the functions are not called for these: other options say whether a value may be missing.
EMPTY: tuple[Any, ...] = (None, "", [], (), {})


class CallsFunctions(typesystem.Field):
    """A typesystem validator that calls functions with the value that it returns."""

    functions: tuple[ValidatorFunction, ...]

    def validate(self, value: Any) -> Any:
        """Return the validated value. Raises `ValidationError` with the messages of all functions that refuse it."""
        validated = super().validate(value)
        if validated in EMPTY:
            return validated
        messages: list[Message] = []
        for function in self.functions:
            try:
                function(validated)
            except ValidationError as error:
                messages += error.messages()
            except ValueError as error:
                messages.append(Message(text=str(error), code="invalid"))
        if messages:
            raise ValidationError(messages=messages)
        return validated


def with_functions(validator: typesystem.Field, functions: Iterable[ValidatorFunction]) -> typesystem.Field:
    """The validator, which calls the functions, too. Raises `FieldError` for what is not a function of a value."""
    functions = tuple(functions)
    for function in functions:
        if not callable(function):
            raise FieldError(f"validators= takes functions of a value, got {type(function).__name__}.")
        if inspect.iscoroutinefunction(function):
            raise FieldError(
                f"validators= takes functions that return at once, and {function.__qualname__}() is async: "
                "put code that waits into the model's `async def clean(self)`."
            )
    if functions:
        # Forms and JSON Schema look at the class of a validator, so the result must be an instance of that class.
        changed: Any = validator
        changed.__class__ = _with_calls(type(validator))
        changed.functions = functions
    return validator


_classes: dict[type[typesystem.Field], type[typesystem.Field]] = {}


def _with_calls(validator_class: type[typesystem.Field]) -> type[typesystem.Field]:
    if validator_class not in _classes:
        _classes[validator_class] = type(validator_class.__name__, (CallsFunctions, validator_class), {})
    return _classes[validator_class]
