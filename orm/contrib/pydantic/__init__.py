"""Pydantic classes of models: what an API accepts, what it answers, and models as types themselves.

    from orm.contrib.pydantic import create_model, read_model, update_model

    NoteCreate = create_model(Note)
    NoteUpdate = update_model(Note)
    NoteRead = read_model(Note, nested={"author": {"include": ["id", "name"]}})

Models are Pydantic types without this module: ``TypeAdapter(Note)``, or ``list[Note]`` in a class of your own.
"""

from orm.utils.extras import missing_extra

try:
    import pydantic as _pydantic  # noqa: F401
except ImportError:
    raise missing_extra("orm.contrib.pydantic", "pydantic") from None

from orm.contrib.pydantic.field_types import FieldType
from orm.contrib.pydantic.inputs import InputModel, create_model, update_model
from orm.contrib.pydantic.reads import ReadModel, read_model, with_nested

__all__ = ["FieldType", "InputModel", "ReadModel", "create_model", "read_model", "update_model", "with_nested"]
