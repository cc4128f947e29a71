"""`ModelSchema`: a model's fields as a `typesystem.Schema`, which also reads the data of HTML forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typesystem

from orm.fields import Field


class ModelSchema(typesystem.Schema):
    """The validators of a model's fields.

    The data of a form (Starlette's `FormData`, or a dict of texts that a `typesystem.Form` validates) are texts,
    without the unchecked checkboxes. So a missing boolean is False, an empty input of a field with a default gets the
    default, and JSON, bytes and other values are read from the texts that the form showed.
    """

    def __init__(self, fields: Mapping[str, Field[Any]]) -> None:
        super().__init__(fields={name: field.validator for name, field in fields.items()})
        self._with_server_default = {name for name, field in fields.items() if field.server_default is not None}
        self.required = [name for name in self.required if name not in self._with_server_default]

    def validate(self, value: Any) -> Any:
        """Return the validated values. Raises `typesystem.ValidationError`."""
        return super().validate(self._form_values(value) if hasattr(value, "getlist") else value)

    def validate_or_error(self, value: Any) -> Any:
        """The validated values, or the error. `typesystem.Form` calls it, with a plain dict of texts."""
        is_form = isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())
        return super().validate_or_error(self._form_values(value) if is_form else value)

    def _form_values(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a form, by name."""
        values = dict(form)
        for name, validator in self.fields.items():
            text = values.get(name)
            if validator.read_only:
                continue
            if name not in values:
                if isinstance(validator, typesystem.Boolean):
                    values[name] = False
            elif text == "" and self._leaves_empty_to_default(name, validator):
                del values[name]
            elif isinstance(text, str) and hasattr(validator, "from_form"):
                values[name] = validator.from_form(text)
        return values

    def _leaves_empty_to_default(self, name: str, validator: typesystem.Field) -> bool:
        has_default = validator.has_default() or name in self._with_server_default
        return has_default and not (validator.allow_null or getattr(validator, "allow_blank", False))
