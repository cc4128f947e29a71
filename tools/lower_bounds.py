"""Prints the oldest versions of the dependencies that setup.cfg declares, as pip's constraints.

python -m tools.lower_bounds > constraints.txt
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

SETUP = Path(__file__).parent.parent / "setup.cfg"
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*>=\s*(?P<version>[0-9][0-9.]*)")
RUNTIME_EXTRAS = ("sqlite", "postgresql", "mysql", "migrations")


def lower_bounds(setup: str) -> Iterator[str]:
    """A line ``name==version`` for each dependency of the package and of its drivers; not for those of its tests."""
    parser = configparser.ConfigParser()
    parser.read_string(setup)
    extras = parser["options.extras_require"]
    lines = [parser["options"]["install_requires"], *(extras[name] for name in RUNTIME_EXTRAS)]
    for line in sorted(set("\n".join(lines).split("\n"))):
        match = REQUIREMENT.match(line.strip())
        if match:
            yield f"{match['name']}=={match['version']}"


if __name__ == "__main__":
    print("\n".join(dict.fromkeys(lower_bounds(SETUP.read_text()))))
