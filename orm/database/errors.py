"""The ORM's class for a driver's error that no server's `errors.py` knows, by its PEP 249 name."""

from __future__ import annotations

from orm import exceptions

PEP_249_CLASSES: dict[str, type[exceptions.Error]] = {
    name: getattr(exceptions, name)
    for name in (
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
        "IntegrityError",
        "OperationalError",
    )
}


def pep_249_class(error: BaseException) -> type[exceptions.Error]:
    """The ORM's class with the PEP 249 name of the error's class, or of its nearest base class that has one."""
    for cls in type(error).__mro__:
        if cls.__name__ in PEP_249_CLASSES:
            return PEP_249_CLASSES[cls.__name__]
    return exceptions.DatabaseError
