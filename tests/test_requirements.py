"""The pins resolve on every Python that the README promises."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def package_index():
    """Skip where no index answers; with CI=true that is a failure."""
    found = subprocess.run([*PIP, "index", "versions", "Django"], capture_output=True, text=True)
    if found.returncode and os.environ.get("CI") != "true":
        pytest.skip("no package index answers, so the pins cannot be resolved")
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_pins_resolve(version, tmp_path, package_index):
    dry_run = ["install", "--dry-run", "--quiet", "--ignore-installed", "--only-binary=:all:"]
    target = ["--python-version", version, "--target", str(tmp_path)]
    names = ("requirements-dev.txt", "requirements-bench.txt")  # they share one .venv
    requirements = [word for name in names for word in ("-r", str(settings.BASE_DIR / name))]
    result = subprocess.run(
        [*PIP, *dry_run, *target, *requirements], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
