"""Rows of single-table inheritance: a column tells the class of each instance, and the class which columns it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from orm.exceptions import DataError


@dataclass(frozen=True, eq=False)
class Kinds:
    """The classes of an entity's instances."""

    column: int
    """The position of the discriminator among the entity's attributes."""
    common: tuple[int, ...]
    """The positions of the attributes that all instances have."""
    classes: Mapping[Any, type]
    """The classes, by the value of the discriminator."""
    further: Mapping[type, tuple[int, ...]]
    """The positions of the other attributes that the instances of a class have."""

    def creation(self, name: str, instance: str, value: str, key: str, scope: dict[str, Any], model: type) -> list[str]:
        """Lines that make the instance of a row. `name`: for the variables of this entity."""
        scope[f"classes_{name}"], scope[f"unknown_{name}"] = self.classes, _unknown(model, self.classes)
        return [
            f"class_{name} = classes_{name}.get({value})",
            f"if class_{name} is None:",
            f"    unknown_{name}({value}, {key})",
            f"{instance} = class_{name}.__new__(class_{name})",
        ]

    def assignments(
        self, name: str, attributes: Sequence[str], assign: Callable[[int, str], str], scope: dict[str, Any]
    ) -> list[str]:
        """Lines that set the attributes that only some classes have. `assign` writes one, by its position."""
        lines: list[str] = []
        for number, (model, positions) in enumerate(self.further.items()):
            if positions:
                scope[f"class_{name}_{number}"] = model
                lines.append(f"{'elif' if lines else 'if'} class_{name} is class_{name}_{number}:")
                lines += [f"    {assign(position, attributes[position])}" for position in positions]
        return lines


def _unknown(model: type, classes: Mapping[Any, type]) -> Callable[[Any, Any], NoReturn]:
    """A function that raises the error for a discriminator that no class has."""
    info: Any = model._meta  # type: ignore[attr-defined]

    def unknown(value: Any, key: Any) -> NoReturn:
        known = ", ".join(repr(each) for each in classes)
        raise DataError(
            f"The row of {info.name} with the key {key!r} has {info.discriminator.name}={value!r}, and no model that "
            f"is declared has this value. The known ones are {known}: import the module of the missing model, or "
            f"change the row."
        )

    return unknown
