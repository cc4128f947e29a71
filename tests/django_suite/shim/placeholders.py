"""What `orm` does not have: a name that may be imported and used in a model's body, and raises once a test calls it."""

from __future__ import annotations

import sys
from typing import Any


class MissingFeature(Exception):
    """A test asks for a feature of Django's that `orm` does not have. The message is its name in `differences.py`."""


class DjangoInternal(Exception):
    """A test reads what is inside Django, such as its compiler: it does not judge behaviour."""


class Dropped:
    """Stands in a model's body for a field, a constraint or an index that is left out."""

    def __init__(self, feature: str) -> None:
        self.feature = feature

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise MissingFeature(self.feature)

    def __call__(self, function: Any = None, *args: Any, **options: Any) -> Any:
        return function


class _MissingType(type):
    missing = True
    error: type[Exception]
    feature: str

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "register_lookup":
            return lambda lookup, *args, **options: lookup
        if name != "_meta" and _in_declaration():
            return missing(f"{cls.__name__}.{name}", cls.error, cls.feature)
        raise cls.error(cls.feature)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        if _in_declaration():
            return Dropped(cls.feature)
        raise cls.error(cls.feature)

    def __repr__(cls) -> str:
        return cls.__name__


class _Missing(metaclass=_MissingType):
    error = MissingFeature
    feature = "nothing"


def missing(name: str, error: type[Exception] = MissingFeature, feature: str = "") -> type:
    """A class in place of one that is missing: it can be inherited from, and raises the error when it is used."""
    return _MissingType(name, (_Missing,), {"error": error, "feature": feature or name})


def is_missing(value: object) -> bool:
    """Whether this stands for something that is missing."""
    return isinstance(value, _MissingType)


def _in_declaration() -> bool:
    """Whether the caller of the caller is the body of a module or of a class."""
    frame = sys._getframe(2)
    return "__qualname__" in frame.f_locals or frame.f_code.co_name in ("<module>", "<lambda>")


def calling_app() -> str:
    """The app of Django's module, or of its test, that is being run; none is "" while the shim sets itself up."""
    frame: Any = sys._getframe()
    while frame is not None:
        name = frame.f_globals["__name__"]
        if ".models" in name or ".test" in name:
            app = name.partition(".")[0]
            if app not in ("tests", "orm"):
                return str(app)
        frame = frame.f_back
    return ""
