"""The option `choices=`, and the validator that allows only these values."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

import typesystem

from orm.exceptions import FieldError
from orm.fields.options import Choices

Pairs = tuple[tuple[Any, str], ...]


def read_choices(
    choices: Choices | None, convert: Callable[[Any], Any], exact_type: type | None = None
) -> Pairs | None:
    """Choices as pairs of value and label.

    `choices` are pairs (also in Django's groups), a mapping, plain values, an enum class, or a function that returns
    these. `convert` converts each value to the field's type; an instance of `exact_type` is a value, even if it is a
    tuple. Raises `FieldError` for anything else.
    """
    if choices is None:
        return None
    if callable(choices) and not isinstance(choices, type):
        choices = choices()
    pairs = tuple(_enum_pairs(choices) if isinstance(choices, type) else _pairs(choices, exact_type))
    if not pairs:
        raise FieldError("choices is empty: nothing could be stored.")
    try:
        return tuple((convert(value), label) for value, label in pairs)
    except (TypeError, ValueError, ArithmeticError):
        raise FieldError("choices has a value of another type than the field's.") from None


def _enum_pairs(choices: type) -> list[tuple[Any, str]]:
    if not issubclass(choices, enum.Enum):
        raise FieldError(f"choices takes pairs, values or an enum class, got {choices.__name__}.")
    return [(member.value, str(getattr(member, "label", member.name))) for member in choices]


def _pairs(choices: Any, exact_type: type | None) -> list[tuple[Any, str]]:
    pairs: list[tuple[Any, str]] = []
    for choice in choices.items() if isinstance(choices, Mapping) else choices:
        if not isinstance(choice, (tuple, list)) or type(choice) is exact_type:
            pairs.append((choice, str(choice)))
        elif len(choice) != 2:
            raise FieldError(f"Each choice is a value or a pair (value, label), got {len(choice)} items.")
        elif isinstance(choice[1], (tuple, list, Mapping)):
            pairs += _pairs(choice[1], exact_type)  # A group of Django's: (name, pairs).
        else:
            pairs.append((choice[0], str(choice[1])))
    return pairs


class ChoiceValidator(typesystem.Choice):
    """`typesystem.Choice` whose values another validator converts.

    It has the options of that validator as attributes, too.
    """

    def __init__(
        self,
        field: typesystem.Field,
        pairs: Pairs,
        *,
        title: str = "",
        description: str = "",
        allow_null: bool = False,
        read_only: bool = False,
        coerce_types: bool = True,
        **options: Any,
    ) -> None:
        if field.has_default():
            options["default"] = field.default
        super().__init__(
            choices=pairs,
            coerce_types=coerce_types,
            title=title,
            description=description,
            allow_null=allow_null,
            read_only=read_only,
            **{key: value for key, value in options.items() if key == "default"},
        )
        self.field = field
        self.keys = [key for key, _ in pairs]

    def validate(self, value: Any) -> Any:
        """Return the choice that `value` is. Raises `typesystem.ValidationError`."""
        if isinstance(value, enum.Enum):
            value = value.value
        if value is None and self.allow_null:
            return None
        if value is None:
            raise self.validation_error("null")
        if value == "" and "" not in self.keys:
            if self.allow_null and self.coerce_types:
                return None
            raise self.validation_error("required")
        if value == "":
            return value
        validated, error = self.field.validate_or_error(value)
        if error or validated not in self.keys:
            raise self.validation_error("choice")
        return validated

    def serialize(self, obj: Any) -> Any:
        """Serialize as the other validator does."""
        return self.field.serialize(obj)

    def __getattr__(self, name: str) -> Any:
        if name == "field":  # Not set yet, while unpickling or copying.
            raise AttributeError(name)
        return getattr(self.field, name)
