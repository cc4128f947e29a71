"""Check that type-only imports go up the layers to a few modules alone.

import-linter holds the imports at run time to the layers in pyproject.toml, and leaves out those under
`if TYPE_CHECKING:`. Annotations name models and querysets in every layer, so type-only imports of these may go up;
any other would hide a dependency that the layers forbid. Inside `orm.query`, a query holds conditions, terms and
orderings which hold queries in turn, and each of them renders itself: there the query and its rendering may be named.

    python -m tools.type_only_imports
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import grimp
from importlinter import api

# For each contract's container, the modules that a type-only import from a lower layer may name.
ALLOWED = {
    "orm": ("orm.models", "orm.queryset"),
    "orm.query": ("orm.query.query", "orm.query.rendering"),
}


def type_only_imports(package: str) -> Iterator[tuple[str, str]]:
    """The pairs of modules, importer and imported, of which no import is there at run time."""
    everything = grimp.build_graph(package, cache_dir=None)
    at_run_time = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    for importer in sorted(everything.modules):
        for imported in sorted(everything.find_modules_directly_imported_by(importer)):
            if imported not in at_run_time.find_modules_directly_imported_by(importer):
                yield importer, imported


def layer(module: str, container: str, layers: list[str]) -> int | None:
    """The number of the module's layer in a container, from the top; None if it is not in the container."""
    if not module.startswith(f"{container}."):
        return None
    child = module.removeprefix(f"{container}.").split(".")[0]
    for number, line in enumerate(layers):
        if child in [name.strip() for name in line.split("|")]:
            return number
    return None


def is_allowed(module: str, container: str) -> bool:
    """Whether lower layers of the container may name the module in annotations."""
    return any(module == name or module.startswith(f"{name}.") for name in ALLOWED.get(container, ()))


def violations() -> Iterator[str]:
    """A line for each type-only import that goes up to anything but the allowed modules."""
    configuration = api.read_configuration()
    contracts = [contract for contract in configuration["contracts_options"] if contract["type"] == "layers"]
    for importer, imported in type_only_imports(configuration["session_options"]["root_packages"][0]):
        for contract in contracts:
            for container in contract["containers"]:
                below, above = (layer(module, container, contract["layers"]) for module in (importer, imported))
                if below is None or above is None or is_allowed(imported, container):
                    continue
                if above < below:
                    yield f"{importer} -> {imported} goes up in {container}"


def main() -> int:
    """Print the violations. The exit code is 1 if there are any."""
    lines = list(violations())
    for line in lines:
        print(line)
    print(f"Type-only imports that go up a layer: {len(lines)} not allowed.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
