"""Validation of a model's values by generated code: cheap checks first, typesystem for what does not pass them.

The values and messages are those of a `typesystem.Schema` of the fields' validators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from typesystem import Message, ValidationError

from orm.fields.base import IMMUTABLE, NO_DEFAULT, Field
from orm.utils.codegen import generate

Validate = Callable[[Mapping[str, Any]], dict[str, Any]]


class Validator:
    """The generated functions of one model. `source` is their code."""

    create: Validate
    """Validate the values of a new row; missing values get their defaults.

    A primary key may be among them. Values that the database generates (a key, a `server_default`) may be missing, or
    None if the field is read-only. Raises `typesystem.ValidationError` with all messages.
    """

    update: Validate
    """Validate new values of an existing row; nothing is added.

    Raises `typesystem.ValidationError` with all messages.
    """

    def __init__(self, source: str, create: Validate, update: Validate) -> None:
        self.source = source
        self.create = create
        self.update = update


def compile_validator(fields: Mapping[str, Field[Any]], model: str = "fields") -> Validator:
    """Generate the validator of these fields, of the model of this name. Its results leave out unknown keys."""
    names: dict[str, Any] = {
        "MISSING": NO_DEFAULT,
        "Message": Message,
        "ValidationError": ValidationError,
        "call_validator": call_validator,
    }
    create, update = [], []
    for number, (key, field) in enumerate(fields.items()):
        validation = _validation(number, key, field, names)
        create += [f"v = get({key!r}, MISSING)", *_missing(number, key, field, names), *validation]
        update += [f"v = get({key!r}, MISSING)", "if v is MISSING:", "    pass", *validation]
    source = _function("create", create) + _function("update", update)
    generate(f"validator of {model}", source, names)
    return Validator(source, names["create"], names["update"])


def _function(name: str, body: list[str]) -> str:
    lines = [
        f"def {name}(values):",
        "    get = values.get",
        "    validated = {}",
        "    required = []",
        "    messages = []",
        *(f"    {line}" for line in body),
        "    if required or messages:",
        "        raise ValidationError(messages=required + messages)",
        "    return validated",
    ]
    return "\n".join(lines) + "\n\n"


def _missing(number: int, key: str, field: Field[Any], names: dict[str, Any]) -> list[str]:
    """The code for a missing value of a new row."""
    # An unsaved instance has None for a value that the database generates.
    test = "v is MISSING or v is None" if field.read_only and not field.allow_null else "v is MISSING"
    if field.has_default():
        value = f"default{number}"
        default = field.validator.default if field.default is NO_DEFAULT else field.default
        if isinstance(default, IMMUTABLE):
            names[value] = default
        else:
            names[value] = field.get_default
            value += "()"
        action = f"validated[{key!r}] = {value}"
    elif field.read_only or field.server_default is not None:
        action = "pass"
    else:
        action = f'required.append(Message(text="This field is required.", code="required", index=[{key!r}]))'
    return [f"if {test}:", f"    {action}"]


def _validation(number: int, key: str, field: Field[Any], names: dict[str, Any]) -> list[str]:
    """The code for a value that is there."""
    names[f"validate{number}"] = field.validator.validate
    fallback = [
        "else:",
        f"    validated[{key!r}] = call_validator(validate{number}, {key!r}, v, messages)",
    ]
    check = fast_check(field, "v", number, names) if key.isidentifier() else None
    return fallback if check is None else [f"elif {check}:", f"    validated[{key!r}] = v", *fallback]


def fast_check(field: Field[Any], value: str, suffix: object, scope: dict[str, Any]) -> str | None:
    """The code of a condition that is true only if the field's validator would return the variable `value` unchanged.

    The names that it uses are added to `scope`. None if the field has no such condition.
    """
    inline = None if field.validators else field.fast_check()
    if inline is None:
        return None
    check = inline.write(value, suffix, scope)
    if field.choices is not None:
        scope[f"choices_{suffix}"] = frozenset(choice for choice, _ in field.choices)
        check = f"{check} and {value} in choices_{suffix}"
    return f"{value} is None or ({check})" if field.allow_null else check


def call_validator(validate: Callable[[Any], Any], key: str, value: Any, messages: list[Message]) -> Any:
    """Validate a value with typesystem. Adds the errors to `messages`."""
    try:
        return validate(value)
    except ValidationError as error:
        messages += error.messages(add_prefix=key)
        return None
