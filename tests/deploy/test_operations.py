"""docs/operations.md: what it names is there, and every alert has its section."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

from tests.conventions import tree
from tests.conventions.settings import names_in_example

PAGE = "docs/operations.md"
TEXT = tree.read(PAGE)
ALERTS = "deploy/prometheus/alerts.yml"
OURS = {"BACKUP_DIR", "BACKUP_KEEP", "BACKUP_FREE_MB", "BACKUP_DATABASE_URL", "PG_BIN", "RELEASE",
        "CGB_ENV_FILE"}  # fmt: skip
SHELL = {"VERSION", "PASSWORD", "ORIGIN"}


def headings() -> list[tuple[int, str]]:
    return [(len(marks), name) for marks, name in re.findall(r"(?m)^(#+) (.+)$", TEXT)]


def anchor(name: str) -> str:
    """As the pages that show Markdown make it."""
    return re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-")


def section(name: str) -> str:
    return TEXT.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def alerts() -> list[str]:
    groups = yaml.safe_load(tree.read(ALERTS))["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_alert_has_its_section():
    told = re.findall(r"(?m)^### (\w+)$", section("Alerts"))
    assert len(told) == len(set(told)) >= 10
    assert set(told) == set(alerts())


def test_every_link_leads_somewhere():
    own = {anchor(name) for _level, name in headings()}
    assert len(own) == len(headings())
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _hash, name = target.partition("#")
        if path:
            found = f"docs/{path}" if not path.startswith("../") else path[3:]
            assert found in tree.paths(), target
        else:
            assert name in own, target


def test_every_file_and_unit_exists():
    for path in set(re.findall(r"(?<![\w/])(?:deploy|tests|docs)/[\w.@/-]+\w", TEXT)):
        if path != "deploy/.env":  # the operator writes it
            known = any(each == path or each.startswith(f"{path}/") for each in tree.paths())
            assert known, path
    units = {path.rpartition("/")[2] for path in tree.named("deploy/systemd/*")}
    for name, instance, kind in re.findall(r"\b((?:cgbookstore)-[a-z]+)(@[\w$*]*)?(\.\w+)?", TEXT):
        unit = f"{name}{'@' if instance else ''}{kind if kind in {'.timer', '.target'} else '.service'}"
        assert unit in units, unit


def test_every_variable_is_read_by_somebody():
    known = set(names_in_example(tree.read(".env.example"))) | OURS | SHELL
    known |= set(names_in_example(tree.read("deploy/compose.env.example")))
    assert set(re.findall(r"\b([A-Z][A-Z_]+[A-Z])=", TEXT)) - known == set()
    scripts = "".join(
        tree.read(f"deploy/{name}") for name in ("backup.sh", "database.sh", "manage")
    )
    for name in OURS - {"RELEASE"}:
        assert name in scripts, name


def test_every_command_of_manage_exists():
    from django.core.management import get_commands

    told = set(re.findall(r"(?:manage|manage\.py) ([a-z_]+)", TEXT))
    assert {"migrate", "check", "createsuperuser", "check_heartbeat"} <= told
    assert told - set(get_commands()) == set()


@pytest.mark.parametrize("name", ["backup.sh", "restore.sh", "run", "heal", "release", "manage"])
def test_a_script_can_be_run(name):
    first = tree.read(f"deploy/{name}").splitlines()[0]
    assert first in {"#!/bin/sh", "#!/usr/bin/env bash"}
    assert (tree.ROOT / "deploy" / name).stat().st_mode & 0o111


def test_the_commands_are_shell():
    """Each indented line can be read as one; what a person has to fill in stands in capitals."""
    lines = [line.strip() for line in re.findall(r"(?m)^    (.+)$", TEXT)]
    assert len(lines) > 80
    for line in lines:
        if not re.match(r"(ALTER|DROP|SELECT)\b", line):
            shlex.split(line.partition(" #")[0].replace("'%s'", ""), comments=True)
