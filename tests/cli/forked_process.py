"""Commands in processes of their own that need not start Python and import everything: forks of one that has.

Starting `python -m orm.cli` takes 1.2 seconds, and most commands a tenth of one.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["orm.cli.app", "alembic.config", "aiosqlite", "asyncpg", "asyncmy"])


def run(
    module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], ignored: str, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run `python -W error -m MODULE ARGUMENTS` in a folder, and return what it printed.

    Args:
        ignored: the start of the one warning that is not an error.

    Raises:
        subprocess.TimeoutExpired: it takes longer than these seconds. It is killed.
    """
    outputs = folder / ".out", folder / ".err"
    process = _context.Process(target=_become, args=(module, arguments, folder, dict(environment), ignored, outputs))
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        raise subprocess.TimeoutExpired([module, *arguments], seconds)
    out, err = (path.read_text(encoding="utf-8") for path in outputs)
    for path in outputs:
        path.unlink()
    assert process.exitcode is not None
    return subprocess.CompletedProcess([module, *arguments], process.exitcode, out, err)


def _become(
    module: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    ignored: str,
    outputs: tuple[Path, Path],
) -> None:
    """Run the module as the main one of this process, which has just been forked."""
    for descriptor, path in zip((1, 2), outputs, strict=True):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    warnings.resetwarnings()
    warnings.simplefilter("error")
    warnings.filterwarnings("default", ignored)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
