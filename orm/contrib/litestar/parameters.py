"""Parameters of a URL whose values we convert and describe ourselves, so that what is refused is answered as a 422."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any, NamedTuple, TypeVar

import pydantic
from litestar.constants import RESERVED_KWARGS
from litestar.params import PathParameter, QueryParameter
from pydantic import TypeAdapter
from typesystem import Message

from orm.contrib.litestar.values import AnyValue
from orm.contrib.problems import RefusedParameters

F = TypeVar("F", bound=Callable[..., Any])


class ParameterValue(metaclass=AnyValue):
    """The type of a parameter, in the signatures of Litestar: the text of the URL, which the plugin describes."""

    described: dict[str, Any]


class ParameterValues(list[str], metaclass=AnyValue):
    """The type of a parameter that is repeated in a URL."""

    described: dict[str, Any]


class UrlParameter(NamedTuple):
    """A parameter of a URL: its name in the URL, and its type for Pydantic."""

    name: str
    adapter: TypeAdapter[Any]
    repeats: bool = False
    description: str | None = None
    default: Any = None
    in_path: bool = False

    @property
    def argument(self) -> str:
        """The name of the argument that Litestar passes: it reserves some names, such as `state`."""
        return argument_name(self.name) if self.in_path else f"query_{self.name}"

    @property
    def annotation(self) -> Any:
        """The annotation of the argument, for Litestar."""
        described = {**self.adapter.json_schema()}
        if self.default is not None:
            described["default"] = self.default
        base = ParameterValues if self.repeats else ParameterValue
        value: Any = AnyValue(self.name, (base,), {"described": described})
        if self.in_path:
            return Annotated[value, PathParameter(description=self.description)]
        return Annotated[value, QueryParameter(name=self.name, description=self.description)]


def argument_name(name: str) -> str:
    """The name of a path's parameter, which is also that of its argument."""
    return f"{name}_" if name in RESERVED_KWARGS else name


def with_parameters(function: F, parameters: Iterable[UrlParameter], **others: Any) -> F:
    """The function, whose keyword arguments are these parameters, as Litestar inspects it, and others by annotation."""
    arguments = {parameter.argument: parameter for parameter in parameters}
    annotations = {**others, **{name: parameter.annotation for name, parameter in arguments.items()}}
    function.__annotations__ = {**annotations, "return": function.__annotations__["return"]}
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=annotation,
                default=inspect.Parameter.empty if name in others or arguments[name].in_path else None,
            )
            for name, annotation in annotations.items()
        ]
    )
    return function


def converted(parameters: Iterable[UrlParameter], texts: dict[str, Any]) -> dict[str, Any]:
    """The values of a request's parameters by name. Raises `RefusedParameters` for all that are refused."""
    values: dict[str, Any] = {}
    messages: list[Message] = []
    in_path = False
    for parameter in parameters:
        text = texts[parameter.argument]
        if text is None:
            continue
        try:
            values[parameter.name] = parameter.adapter.validate_python(text)
        except pydantic.ValidationError as error:
            in_path = parameter.in_path
            messages += [
                Message(text=each["msg"], code=each["type"], index=[parameter.name, *each["loc"]])
                for each in error.errors(include_url=False, include_context=False)
            ]
    if messages:
        refusal = RefusedParameters(messages=messages)
        refusal.source = "path" if in_path else "query"
        raise refusal
    return values
