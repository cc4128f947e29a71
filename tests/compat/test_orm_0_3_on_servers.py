"""Runs `test_orm_0_3`, whose database is chosen when it is imported, on the servers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(url: str) -> None:
    module = Path(__file__).with_name("test_orm_0_3.py")
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(module)]
    left_out = ("PYTEST_", "CI")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    environment["TEST_DATABASE_URL"] = url
    done = subprocess.run(
        command, env=environment, cwd=module.parents[2], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_tests_of_0_3_on_postgresql_pass(postgresql_url: str) -> None:
    run(postgresql_url)


def test_tests_of_0_3_on_mysql_pass(mysql_url: str) -> None:
    run(mysql_url)
