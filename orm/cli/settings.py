"""The settings of the command: from options, the environment, `pyproject.toml` or `setup.cfg`."""

from __future__ import annotations

import configparser
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from orm.exceptions import Error
from orm.migrations.broken_files import BROKEN, what
from orm.registry import ModelRegistry


class SettingsError(Error):
    """A setting that is missing, or does not fit. The command exits with 2."""


@dataclass(frozen=True)
class Settings:
    """What the command knows of the application.

    Attributes:
        models: where the registries are, as ``module:name``.
        migrations: the folder of migrations, relative to the root.
        lock_timeout: the seconds that a statement of a migration waits for a lock.
        retries: how often a revision that did not get a lock is tried again.
        root: the folder of the file with the settings; modules are imported from it.
    """

    models: tuple[str, ...] = ("models:models",)
    migrations: str = "migrations"
    lock_timeout: float = 3.0
    retries: int = 10
    root: Path = Path()

    @property
    def directory(self) -> Path:
        """The folder of migrations."""
        return self.root / self.migrations

    def registries(self) -> tuple[ModelRegistry, ...]:
        """Import the registries. Raises `SettingsError` if there are none."""
        sys.path[:0] = [str(self.root.absolute())]
        return tuple(self._registry(path) for path in self.models)

    def _registry(self, path: str) -> ModelRegistry:
        module_name, _, name = path.partition(":")
        try:
            module = importlib.import_module(module_name)
        except BROKEN as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            if missing is None or not f"{module_name}.".startswith(f"{missing}."):
                raise SettingsError(f"{module_name} cannot be imported: {what(error, self.root)}") from error
            raise SettingsError(
                f"there is no module {missing!r} in {self.root.absolute()}. Where the models are is a setting: "
                f'models = "app.models:models" under [tool.orm] in pyproject.toml, ORM_MODELS, or --models'
            ) from error
        registry = getattr(module, name or "models", None)
        if not isinstance(registry, ModelRegistry):
            names = [key for key, value in vars(module).items() if isinstance(value, ModelRegistry)]
            hint = f"; it has {', '.join(names)}" if names else ""
            raise SettingsError(f"{module_name} has no ModelRegistry of the name {name or 'models'!r}{hint}")
        return registry


def load(options: Mapping[str, Any], environment: Mapping[str, str], start: Path) -> Settings:
    """The settings: each from an option, else the environment, else the nearest file above the current folder."""
    values: dict[str, Any] = {}
    root = start
    for folder in (start, *start.parents):
        values_read = _from_files(folder)
        if values_read is not None:
            values, root = values_read, folder
            break
    known = ("models", "migrations", "lock_timeout", "retries")
    if unknown := [name for name in values if name not in known]:
        raise SettingsError(f"{root}: there is no setting {unknown[0]!r}; there are {', '.join(known)}")
    for name in known:
        if f"ORM_{name.upper()}" in environment:
            values[name] = environment[f"ORM_{name.upper()}"]
        if options.get(name) is not None:
            values[name] = options[name]
    settings = Settings(root=root)
    if "models" in values:
        settings = replace(settings, models=_names(values["models"]))
    if "migrations" in values:
        settings = replace(settings, migrations=str(values["migrations"]))
    try:
        return replace(
            settings,
            lock_timeout=float(values.get("lock_timeout", settings.lock_timeout)),
            retries=int(values.get("retries", settings.retries)),
        )
    except ValueError as error:
        raise SettingsError(f"lock_timeout and retries are numbers: {error}") from error


def _names(value: object) -> tuple[str, ...]:
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not parts or not all(isinstance(part, str) for part in parts):
        raise SettingsError(f"models names registries, such as 'app.models:models', not {value!r}")
    return tuple(parts)


def _from_files(folder: Path) -> dict[str, Any] | None:
    for name, read in (("pyproject.toml", _from_toml), ("setup.cfg", _from_cfg)):
        path = folder / name
        if path.is_file() and (values_read := read(path)) is not None:
            return values_read
    return None


def _from_toml(path: Path) -> dict[str, Any] | None:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from error
    table = tables.get("tool", {}).get("orm")
    return dict(table) if isinstance(table, dict) else None


def _from_cfg(path: Path) -> dict[str, Any] | None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(path.read_text(encoding="utf-8"), str(path))
    return dict(parser["orm"]) if "orm" in parser else None


def write(folder: Path, settings: Mapping[str, str]) -> Path:
    """Add the settings to `setup.cfg` if there is only that, else to `pyproject.toml`. Returns the file."""
    lines = [f'{name} = "{value}"' for name, value in settings.items()]
    path, head = folder / "pyproject.toml", "[tool.orm]"
    if not path.exists() and (folder / "setup.cfg").exists():
        path, head = folder / "setup.cfg", "[orm]"
        lines = [f"{name} = {value}" for name, value in settings.items()]
    before = path.read_text(encoding="utf-8").rstrip("\n") if path.exists() else ""
    path.write_text("\n".join([*([before, ""] if before else []), head, *lines, ""]), encoding="utf-8")
    return path


def environment() -> Mapping[str, str]:
    """The process's environment."""
    return os.environ


def sections(folder: Path) -> Iterator[str]:
    """The files of a folder that have settings of the command."""
    for name, read in (("pyproject.toml", _from_toml), ("setup.cfg", _from_cfg)):
        if (folder / name).is_file() and read(folder / name) is not None:
            yield name
