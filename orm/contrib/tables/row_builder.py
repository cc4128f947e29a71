"""`RowBuilder`: rows of the declared classes, made of the instances of a query and of what was loaded for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orm.contrib.loaded_relations import NOT_THERE, loaded_relation
from orm.models import Model

if TYPE_CHECKING:
    from orm.contrib.tables.registration import Declared, Link


class RowBuilder:
    """Makes each row of a result once, however many relations lead to it.

    A row does not refer back to the one in whose list it is: the two would be a cycle, which has no JSON. There it has
    the key, or, if the attribute cannot be a key, the relation counts as not loaded.
    """

    def __init__(self) -> None:
        self._rows: dict[int, Any] = {}
        self._instances: list[Model] = []
        """The instances that rows were made of: while they live, their ids are theirs alone."""
        self._unfinished: set[int] = set()
        """The ids of the instances whose rows are being built."""

    def row(self, declared: Declared, instance: Model) -> Any:
        """The row of an instance."""
        identity = id(instance)
        if identity in self._rows:
            return self._rows[identity]
        self._instances.append(instance)
        self._unfinished.add(identity)
        values: dict[str, Any] = {}
        unloaded: set[str] = set()
        for name, attribute in declared.columns.items():
            values[attribute.alias or name] = getattr(instance, name)
        for link in declared.links.values():
            related = loaded_relation(instance, instance._meta.accessors[link.name])
            target = declared.related(link.name)
            if related is NOT_THERE or id(related) in self._unfinished:
                values[link.name] = self._placeholder(declared, link, instance)
                if not (link.takes_key and not link.many):
                    unloaded.add(link.name)
            elif link.many:
                values[link.name] = [self.row(target, each) for each in related if id(each) not in self._unfinished]
            else:
                values[link.name] = None if related is None else self.row(target, related)
        row = self._rows[identity] = declared.rows.build(values, unloaded)
        self._unfinished.remove(identity)
        return row

    @staticmethod
    def _placeholder(declared: Declared, link: Link, instance: Model) -> Any:
        """What stands in for a relation that was not loaded: its key, if the attribute may be the key."""
        if link.many:
            return []
        key = getattr(instance, f"{link.name}_id")
        if link.takes_key:
            return key
        return declared.related(link.name).rows.blank()
