"""Packages that `orm` works with if they are installed: its extras."""

from __future__ import annotations


def missing_extra(module: str, package: str) -> ImportError:
    """The error for a module of `orm` whose package is not installed: one line, with the command.

    The command names the package, not the extra: on PyPI, `orm` is another version.

    >>> raise missing_extra("orm.contrib.fastapi", "fastapi")
    """
    return ImportError(f"{module} needs the package {package}, which is not installed: pip install {package}")
