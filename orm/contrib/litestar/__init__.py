"""Litestar: a plugin (models in bodies and answers, OpenAPI, the connection, errors as answers), CRUD, a DTO, filters.

    notes = crud_router(Note, filters=["text__icontains"])
    app = Litestar([notes, search_notes], plugins=[OrmPlugin(database)])

The classes of `orm.contrib.pydantic` are types of bodies and answers as well: see there.
"""

from orm.utils.extras import missing_extra

try:
    import litestar as _litestar  # noqa: F401
except ImportError:
    raise missing_extra("orm.contrib.litestar", "litestar") from None

from orm.contrib.crud.filters import Filters
from orm.contrib.crud.pages import PageOf, PageRequest
from orm.contrib.lifespans import lifespan
from orm.contrib.litestar.answers import error_responses, exception_handlers, get_or_404
from orm.contrib.litestar.dependencies import in_transaction, provide
from orm.contrib.litestar.dtos import ModelDTO
from orm.contrib.litestar.filters import filters_of
from orm.contrib.litestar.pages import page_request
from orm.contrib.litestar.plugin import OrmPlugin
from orm.contrib.litestar.routers import crud_router

__all__ = [
    "Filters",
    "ModelDTO",
    "OrmPlugin",
    "PageOf",
    "PageRequest",
    "crud_router",
    "error_responses",
    "exception_handlers",
    "filters_of",
    "get_or_404",
    "in_transaction",
    "lifespan",
    "page_request",
    "provide",
]
