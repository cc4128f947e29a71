"""Which of Django's tests do not pass on `orm`, and why: `DECLARED`.

Every test that fails is declared by its name, by a pattern of names, or by the feature that it asks for, which
`MissingFeature` names. A name that passes, and a pattern of which nothing fails, make the run fail.
"""

from __future__ import annotations

from dataclasses import dataclass

DIFFERENT, MISSING, INTERNAL, FAULT = "different", "missing", "internal", "fault"
DATABASES = ("sqlite", "postgresql", "mariadb", "mysql")
SERVERS = ("postgresql", "mariadb", "mysql")


@dataclass(frozen=True)
class Declared:
    """Tests that do not pass, for one reason."""

    kind: str
    """`DIFFERENT` on purpose, `MISSING` a feature, `INTERNAL`: of Django's internals, and not
    judged, or a `FAULT` that is known and not mended yet."""
    reason: str
    """The reason, in a phrase for the documentation."""
    tests: tuple[str, ...] = ()
    """Names of tests, or patterns with ``*``."""
    features: tuple[str, ...] = ()
    """How the messages of `MissingFeature` begin."""
    documented: str = ""
    """Words of `docs/coming-from-django.md` or `docs/django-table.md` that say so, for a difference."""
    databases: tuple[str, ...] = DATABASES
    """The databases on which they fail."""
