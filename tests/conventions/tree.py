"""The files of the repository, by their paths from its root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {"__pycache__", "staticfiles", "node_modules"}


@cache
def paths() -> tuple[str, ...]:
    """What git has or would take; without git, what stands there and is no tool's own folder."""
    found = from_git(ROOT)
    return tuple(sorted(walk(ROOT) if found is None else found))


def from_git(root: Path) -> list[str] | None:
    """``None`` where ``root`` is no repository, or there is no git."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [path for path in listed.stdout.split("\0") if path and (root / path).is_file()]


def walk(root: Path) -> list[str]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in NOT_OURS and name[0] != "."]
        found += [Path(folder, name).relative_to(root).as_posix() for name in names]
    return found


def named(*patterns: str) -> list[str]:
    """The paths that match any of ``patterns``; ``*`` crosses folders."""
    return [path for path in paths() if any(fnmatch(path, pattern) for pattern in patterns)]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def texts(found: Iterable[str]) -> dict[str, str]:
    return {path: read(path) for path in found}


def is_test(path: str) -> bool:
    """Whether ``path`` is no part of the product: it may do what the product may not."""
    parts = PurePosixPath(path).parts
    return "tests" in parts or parts[-1] in {"conftest.py", "test_performance.py"}


def is_migration(path: str) -> bool:
    return "migrations" in PurePosixPath(path).parts
