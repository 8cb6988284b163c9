"""The size budget: the hard stops of the house style."""

from __future__ import annotations

import ast

from . import python, templates
from .tree import is_migration, is_test

KB = 1024
STYLES_BYTES = 45 * KB
SCRIPTS_BYTES = 20 * KB
VIEW_LINES = 30
SETTINGS_LINES = 400
MODULE_LINES = 450
TEST_LINES = 600
PAGE_LINES = 150
PART_LINES = 60


def lines_allowed(path: str) -> int | None:
    """How long the file may be; ``None`` for one that the budget does not name."""
    if path.endswith(".py"):
        if is_migration(path):
            return None
        if path == "cgbookstore/settings.py":
            return SETTINGS_LINES
        return TEST_LINES if is_test(path) else MODULE_LINES
    if path.endswith((".html", ".txt")) and "templates/" in path:
        return PART_LINES if templates.is_part(path) else PAGE_LINES
    return None


def a_file_fits_its_budget(path: str, text: str) -> list[str]:
    allowed, lines = lines_allowed(path), len(text.splitlines())
    if allowed is None or lines <= allowed:
        return []
    return [f"{path} has {lines} lines of {allowed}"]


def a_view_fits_its_budget(path: str, text: str) -> list[str]:
    if not python.is_views_module(path):
        return []
    return [
        f"{path}:{node.lineno} {node.name} has {lines} lines of {VIEW_LINES}"
        for node in ast.walk(python.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > VIEW_LINES
    ]


def bytes_fit(sizes: dict[str, int], allowed: int) -> list[str]:
    total = sum(sizes.values())
    return [] if total <= allowed else [f"{sorted(sizes)} have {total} bytes of {allowed}"]
