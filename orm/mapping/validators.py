"""Validation of a model's values, compiled: plain values pass generated checks, typesystem speaks about the rest.

The result, values and messages alike, is that of a `typesystem.Schema` of the fields' validators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from typesystem import Message, ValidationError

from orm.fields.base import IMMUTABLE, NO_DEFAULT, Field
from orm.utils.codegen import generate

Validate = Callable[[Mapping[str, Any]], dict[str, Any]]


class Validator:
    """The generated functions of one model. `source` is their code, for a look while debugging."""

    create: Validate
    """Values of a new row, with defaults for what is missing.

    A primary key is honoured if given. What the database fills in (a generated key, a `server_default`) may
    be missing, or None if it is read-only. Raises `typesystem.ValidationError` with every message.
    """

    update: Validate
    """Values of an existing row: what is given is validated, nothing is added.

    Raises `typesystem.ValidationError` with every message.
    """

    def __init__(self, source: str, create: Validate, update: Validate) -> None:
        self.source = source
        self.create = create
        self.update = update


def compile_validator(fields: Mapping[str, Field[Any]]) -> Validator:
    """Generate the validator of these fields. Keys that name no field are left out of its results."""
    names: dict[str, Any] = {
        "MISSING": NO_DEFAULT,
        "Message": Message,
        "ValidationError": ValidationError,
        "ask": ask,
    }
    create, update = [], []
    for number, (key, field) in enumerate(fields.items()):
        given = _given(number, key, field, names)
        create += [f"v = get({key!r}, MISSING)", *_missing(number, key, field, names), *given]
        update += [f"v = get({key!r}, MISSING)", "if v is MISSING:", "    pass", *given]
    source = _function("create", create) + _function("update", update)
    generate("validator", source, names)
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
    """Lines for a value that a new row was not given."""
    # An instance that is not saved yet holds None for what the database will fill in.
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


def _given(number: int, key: str, field: Field[Any], names: dict[str, Any]) -> list[str]:
    """Lines for a value that was given."""
    names[f"validate{number}"] = field.validator.validate
    asked = [
        "else:",
        f"    validated[{key!r}] = ask(validate{number}, {key!r}, v, messages)",
    ]
    check = fast_check(field, "v", number, names) if key.isidentifier() else None
    return asked if check is None else [f"elif {check}:", f"    validated[{key!r}] = v", *asked]


def fast_check(field: Field[Any], value: str, suffix: object, scope: dict[str, Any]) -> str | None:
    """Source of a condition: true only if the field's validator would return this variable as it is.

    What it refers to is put into `scope`. None if there is no such condition.
    """
    inline = field.fast_check()
    if inline is None:
        return None
    check = inline.write(value, suffix, scope)
    if field.choices is not None:
        scope[f"choices_{suffix}"] = frozenset(choice for choice, _ in field.choices)
        check = f"{check} and {value} in choices_{suffix}"
    return f"{value} is None or ({check})" if field.allow_null else check


def ask(validate: Callable[[Any], Any], key: str, value: Any, messages: list[Message]) -> Any:
    """The value as typesystem validates it; adds to `messages` if it does not."""
    try:
        return validate(value)
    except ValidationError as error:
        messages += error.messages(add_prefix=key)
        return None
