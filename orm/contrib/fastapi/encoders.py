"""Instances in `jsonable_encoder()`, which FastAPI calls for what a route without a type answers."""

from __future__ import annotations

from typing import Any

from fastapi.encoders import encoders_by_class_tuples

from orm.contrib.pydantic.model_types import UNTYPED
from orm.models import Model


def encode_instance(instance: Model) -> Any:
    """What was loaded of an instance, as its model's Pydantic type writes it.

    An answer without a type promises no field, so that one which was not loaded is left out.
    """
    return UNTYPED.to_python(instance, mode="json")


def register_encoder() -> None:
    """Have `jsonable_encoder()` write instances with `encode_instance`, and not with all that `vars()` finds."""
    encoders_by_class_tuples[encode_instance] = (Model,)
