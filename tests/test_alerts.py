"""deploy/prometheus/alerts.yml: which course of things raises an alert, and which does not.

promtool lives through it in a moment. A series is written as ``start+step x times``, a minute each.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from cgbookstore.celery import SCHEDULE
from core.metrics import names

from .faults.servers import program

RULES = settings.BASE_DIR / "deploy" / "prometheus" / "alerts.yml"
SITE = 'instance="a:8000",job="cgbookstore"'
HEARTBEAT = "core.tasks.heartbeat"  # watched by the age of its row


def rules(name: str) -> list[dict]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if rule["alert"] == name]


def fires(tmp_path: Path, alert: str, at: str, series: dict[str, str]) -> bool:
    """Whether ``alert`` fires at ``at`` (``10m``, ``25h``) when the site exports ``series``."""
    shutil.copy(RULES, tmp_path)
    test = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": _site(key), "values": value} for key, value in series.items()
                ],
                "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": []}],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [program("promtool", "prometheus"), "test", "rules", tmp_path / "test.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0 or "got:[" in re.sub(r"\s", "", said), said
    return done.returncode != 0


def _site(series: str) -> str:
    """``name{label="x"}`` as our site exports it; a whole name as it stands."""
    name, _brace, labels = series.rstrip("}").partition("{")
    if name.startswith((names.PREFIX, "up", "node_")):
        return series
    bare = re.sub(r"_(total|bucket|sum|count)$", "", name)
    assert bare in names.ALL, name
    return f"{names.PREFIX}{name}{{{', '.join(filter(None, [SITE, labels]))}}}"


def task(name: str, outcome: str, queue: str = "bulk") -> str:
    return f'tasks_total{{task="{name}",queue="{queue}",outcome="{outcome}"}}'


NIGHTLY = "debates.tasks.reconcile_counters"


class TestTasks:
    def test_one_that_fails_each_night_is_told(self, tmp_path):
        nights = {task(NIGHTLY, "failed"): "0x120 1x1440 2x1440"}
        assert not fires(tmp_path, "TaskFailed", "1h", nights)
        for at in ("125m", "24h", "27h"):
            assert fires(tmp_path, "TaskFailed", at, nights)
        assert not fires(tmp_path, "TasksFail", "125m", nights)

    def test_one_that_is_killed_is_told_as_well(self, tmp_path):
        assert fires(tmp_path, "TaskFailed", "150m", {task(NIGHTLY, "killed", ""): "0x120 1x100"})

    def test_a_failed_mail_among_many_is_not(self, tmp_path):
        mails = {task("core.tasks.send_mail", "failed", "default"): "0x120 1x100"}
        assert not fires(tmp_path, "TaskFailed", "150m", mails)
        assert not fires(tmp_path, "TasksFail", "150m", mails)

    def test_one_that_is_never_done_is_told_a_day_later(self, tmp_path):
        never = {task(NIGHTLY, "done"): "0x3000"}
        assert not fires(tmp_path, "TaskMissing", "24h", never)
        assert fires(tmp_path, "TaskMissing", "28h", never)
        nightly = {task(NIGHTLY, "done"): "0x1000 1x1440 2x1000"}
        assert not fires(tmp_path, "TaskMissing", "28h", nightly)

    def test_one_of_each_minute_is_told_within_the_hour(self, tmp_path):
        name = "core.tasks.sweep_mail"
        stuck = {task(name, "done", "default"): "0+1x60 60x100"}
        assert not fires(tmp_path, "TaskMissing", "1h", stuck)
        assert fires(tmp_path, "TaskMissing", "2h", stuck)

    def test_on_whichever_machine_it_is_done(self, tmp_path):
        name = "core.tasks.sweep_mail"
        here = task(name, "done", "default")
        there = f'cgbookstore_{here[:-1]},instance="b:8000"}}'
        assert fires(tmp_path, "TaskMissing", "2h", {here: "0x200"})
        assert not fires(tmp_path, "TaskMissing", "2h", {here: "0x200", there: "0+1x200"})

    @pytest.mark.parametrize("alert", ["TaskMissing", "TaskFailed"])
    def test_every_task_of_the_schedule_is_watched(self, alert):
        words = [re.findall(r'task=~"([^"]+)"', rule["expr"]) for rule in rules(alert)]
        patterns = [pattern for found in words for pattern in found]
        for entry in SCHEDULE.values():
            found = [one for one in patterns if re.fullmatch(one, entry["task"])]
            often = "sweep" in entry["task"] or "fold" in entry["task"]
            expected = 0 if entry["task"] == HEARTBEAT or (alert == "TaskFailed" and often) else 1
            assert len(found) == expected, entry["task"]


class TestMorning:
    """Ten thousand digests and a full mailbox wake nobody; a queue that nobody serves does."""

    def test_digests_wake_nobody(self, tmp_path):
        morning = {
            'queue_length{queue="bulk"}': "9000-50x180",
            'heartbeat_age_seconds{queue="bulk"}': "0+60x180",
            task("core.tasks.send_mail", "done"): "0+50x180",
            'mails_waiting{queue="bulk"}': "9000-50x180",
            'mails_overdue{queue="bulk"}': "0 4000 9000-50x178",
            'untried_mail_age_seconds{queue="bulk"}': "0+60x180",
        }
        for alert in ("QueueGrows", "WorkerDeaf", "MailWaits", "MailRefused"):
            assert not fires(tmp_path, alert, "175m", morning), alert

    def test_a_bulk_worker_that_ends_nothing_is_deaf(self, tmp_path):
        deaf = {
            'heartbeat_age_seconds{queue="bulk"}': "0+60x180",
            task("core.tasks.send_mail", "done"): "0+50x20 1000x160",
            task("core.tasks.heartbeat", "expired"): "0+1x180",
        }
        assert not fires(tmp_path, "WorkerDeaf", "55m", deaf)
        assert fires(tmp_path, "WorkerDeaf", "65m", deaf)

    def test_the_others_wake_after_minutes_and_bulk_after_hours(self, tmp_path):
        assert fires(tmp_path, "QueueGrows", "10m", {'queue_length{queue="default"}': "501x20"})
        assert fires(tmp_path, "QueueGrows", "5h", {'queue_length{queue="bulk"}': "1x300"})
        for queue, late, early in (
            ("critical", "20m", "10m"),
            ("default", "20m", "10m"),
            ("bulk", "5h", "3h"),
        ):
            ages = {f'untried_mail_age_seconds{{queue="{queue}"}}': "0+60x400"}
            assert fires(tmp_path, "MailWaits", late, ages)
            assert not fires(tmp_path, "MailWaits", early, ages)

    def test_a_mail_server_that_takes_nothing_wakes_and_a_full_mailbox_waits(self, tmp_path):
        def refused(queue: str, number: int) -> dict[str, str]:
            return {
                f'mails_waiting{{queue="{queue}"}}': f"{number}x400",
                f'mails_overdue{{queue="{queue}"}}': "0x400",
            }

        assert fires(tmp_path, "MailRefused", "20m", refused("critical", 3))
        assert fires(tmp_path, "MailRefused", "20m", refused("default", 21))
        assert not fires(tmp_path, "MailRefused", "5h", refused("default", 1))
        assert fires(tmp_path, "MailRefused", "380m", refused("default", 1))


def test_slow_statements_of_a_view_are_told_and_those_of_the_night_are_not(tmp_path):
    of_view = {'slow_queries_total{view="core:search",task=""}': "0+5x60"}
    of_task = {f'slow_queries_total{{view="",task="{NIGHTLY}"}}': "0+5x60"}
    assert fires(tmp_path, "QueriesSlow", "1h", of_view)
    assert not fires(tmp_path, "QueriesSlow", "1h", of_task)


def test_a_disk_that_fills_and_one_that_nobody_watches(tmp_path):
    labels = 'instance="a:9100",mountpoint="/",fstype="ext4"'
    disk = {f"node_filesystem_size_bytes{{{labels}}}": "100x100"}
    full = disk | {f"node_filesystem_avail_bytes{{{labels}}}": "9x100"}
    assert fires(tmp_path, "DiskFills", "1h", full)
    assert not fires(
        tmp_path, "DiskFills", "1h", disk | {f"node_filesystem_avail_bytes{{{labels}}}": "11x100"}
    )
    assert fires(tmp_path, "DisksUnwatched", "1h", {'up{job="node",instance="a:9100"}': "0x100"})
