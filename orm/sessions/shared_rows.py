"""Instances of different models that are one row: of a proxy and its model, or of a parent in a table of its own.

Each model has an instance of its own. What one of them writes, the others take; what two have changed differently is
refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from orm.exceptions import QueryError
from orm.mapping.changes import frozen, is_same_value
from orm.sessions.identity_map import fill, model_of_key, shares_rows

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model
    from orm.sessions.identity_map import IdentityMap, InstanceState
    from orm.sessions.undo import Level


@lru_cache(2_000)
def _models_of_rows(info: ModelInfo, number_of_models: int) -> tuple[type[Model], ...]:
    models = {id(model): model for model in info.registry.models.values()}.values()
    model_of_info = model_of_key(info)
    related = (m for m in models if shares_rows(info, m._meta) or shares_rows(m._meta, info))
    return tuple(
        {id(key): key for model in related if (key := model_of_key(model._meta)) is not model_of_info}.values()
    )


def has_other_models(info: ModelInfo) -> bool:
    """Whether rows of a model can be instances of another one as well."""
    return bool(_models_of_rows(info, len(info.registry.models)))


def others_of_row(
    identity_map: IdentityMap, state: InstanceState, instance: Model
) -> Iterator[tuple[InstanceState, Model]]:
    """The instances that other models have of the row of an instance."""
    for model in _models_of_rows(state.info, len(state.info.registry.models)):
        other_state = identity_map.state_with_key((model, state.key[1]))
        other = None if other_state is None else other_state()
        if other_state is not None and other is not None and other is not instance:
            yield other_state, other


def check_agreement(
    identity_map: IdentityMap, state: InstanceState, instance: Model, attnames: Collection[str]
) -> None:
    """Raise `QueryError` if another instance of the row has another new value of one of these attributes."""
    for other_state, other in others_of_row(identity_map, state, instance):
        for attname in other_state.changed():
            values = instance.__dict__, other.__dict__
            if attname in attnames and not is_same_value(*(each.get(attname) for each in values)):
                name = state.info.by_attname[attname].name
                raise QueryError(
                    f"{state.info.name} and {other_state.info.name} {state.key[1]!r} are one row, and the session has "
                    f"an instance of each, with different new values of {name!r}: change one of them, and "
                    "`await session.refresh(instance)` or `session.expunge(instance)` the other."
                )


def share_written(
    identity_map: IdentityMap, level: Level, state: InstanceState, instance: Model, attnames: Collection[str]
) -> None:
    """Give other instances of the row what was written, unless they have changed it themselves."""
    for other_state, other in others_of_row(identity_map, state, instance):
        info = other_state.info
        written = {*attnames, *(() if info.version is None else (info.version.attname,))}
        values = {
            name: frozen(instance.__dict__[name])
            for name in written
            if name in info.by_attname and name in instance.__dict__ and name in other.__dict__
        }
        level.note_change(other_state)
        for name in values.keys() & other_state.columns.keys_of_relations.keys():
            other.__dict__.pop(other_state.columns.keys_of_relations[name].name, None)
        fill(other_state, other, values, fresh=True)
