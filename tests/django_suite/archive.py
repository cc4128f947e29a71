"""Django's tests: its source distribution, fetched with pip, verified, and unpacked into `build/`."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.django_suite.areas import EDITS

VERSION = "5.2.19"
SHA256 = "ad03d8abc51dbff95ebf34b27123cf0c26a3b62db7ba0cd520783686362533d1"
ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "django-suite"


class ArchiveError(Exception):
    """Django's tests cannot be had; the message says why."""


def fetch_tests() -> Path:
    """The folder with Django's tests, which is made the first time and whenever `EDITS` have changed.

    Raises:
        ArchiveError: no package index has the distribution, its hash is another, or an edit does not fit.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:  # processes that run areas side by side wait for the first
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = hashlib.sha256(repr((SHA256, EDITS)).encode()).hexdigest()
        tests, marker = CACHE / f"django-{VERSION}" / "tests", CACHE / "state"
        if not marker.exists() or marker.read_text() != state:
            _unpack(_download(), tests)
            marker.write_text(state)
    return tests


def _download() -> Path:
    archive = CACHE / f"django-{VERSION}.tar.gz"
    if not archive.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-binary", ":all:", "--dest", str(CACHE), f"django=={VERSION}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode or not archive.exists():
            raise ArchiveError(f"pip cannot download the sources of Django {VERSION}: {done.stdout.strip()[-500:]}")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise ArchiveError(f"{archive.name} has the SHA-256 {found}, not {SHA256}: remove it, and find out why.")
    return archive


def _unpack(archive: Path, tests: Path) -> None:
    prefix = f"django-{VERSION}/tests/"
    shutil.rmtree(tests.parent, ignore_errors=True)
    with tarfile.open(archive) as tar:
        members = [member for member in tar if member.name.startswith(prefix) and (member.isfile() or member.isdir())]
        for member in members:
            if ".." in Path(member.name).parts:
                raise ArchiveError(f"{archive.name} has the path {member.name!r}.")
        tar.extractall(CACHE, members)
    for edit in EDITS:
        path = tests / edit.path
        text = path.read_text(encoding="utf-8")
        if edit.old not in text:
            raise ArchiveError(f"{edit.path} has no {edit.old!r}: the edit is out of date.")
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
