"""FastAPI: dependencies (database, transaction, page, filters), a router of CRUD routes, and errors as answers.

    app = FastAPI(lifespan=lifespan(database), exception_handlers=exception_handlers)
    app.include_router(crud_router(Note, filters=["text__icontains"]))

Models and the classes of `orm.contrib.pydantic` are types of bodies and answers: see there.
"""

from orm.utils.extras import missing_extra

try:
    import fastapi as _fastapi  # noqa: F401
except ImportError:
    raise missing_extra("orm.contrib.fastapi", "fastapi") from None

from orm.contrib.crud.filters import Filters
from orm.contrib.crud.pages import PageOf
from orm.contrib.fastapi.dependencies import FromBody, in_session, in_transaction, provide
from orm.contrib.fastapi.encoders import register_encoder as _register_encoder
from orm.contrib.fastapi.filters import filters_of
from orm.contrib.fastapi.pages import PageRequest, page_request
from orm.contrib.fastapi.responses import error_responses
from orm.contrib.fastapi.routers import crud_router
from orm.contrib.starlette import exception_handlers, get_or_404, lifespan

_register_encoder()

__all__ = [
    "Filters",
    "FromBody",
    "PageOf",
    "PageRequest",
    "crud_router",
    "error_responses",
    "exception_handlers",
    "filters_of",
    "get_or_404",
    "in_session",
    "in_transaction",
    "lifespan",
    "page_request",
    "provide",
]
