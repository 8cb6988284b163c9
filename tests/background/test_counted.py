"""What a real worker counts of its tasks, its children's and those that no child ever saw."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core import tasks
from core.metrics import shared
from core.metrics.counting import Key
from core.queues import BULK, DEFAULT
from debates.tasks import reconcile_counters
from tests.faults.servers import wait_for
from tests.test_sentry import broken_tables

from .processes import empty_queues, worker


@pytest.fixture
def folder(queues_of_ones_own, transactional_db, settings, tmp_path) -> Iterator[str]:
    settings.METRICS_DIR = str(tmp_path / "metrics")
    empty_queues()
    yield settings.METRICS_DIR
    empty_queues()


def counted(name: str) -> dict[Key, float]:
    """The queues and outcomes of a task, as a scrape would find them."""
    return {
        key[2:]: value for key, value in shared.totals().counters.items() if key[1:2] == (name,)
    }


def test_each_outcome_begins_at_zero_and_is_counted_once(folder, tmp_path):
    name = reconcile_counters.name
    with worker(tmp_path / "worker.log", METRICS_DIR=folder):
        wait_for(lambda: counted(name), "nothing is expected")
        assert set(counted(name).values()) == {0}
        assert {("", "killed"), (BULK, "failed"), (DEFAULT, "failed"), (BULK, "done")} <= set(
            counted(name)
        )
        with broken_tables("debates_debatetopic"):
            reconcile_counters.apply_async(queue=BULK)
            wait_for(lambda: counted(name)[BULK, "failed"] == 1, "no failure was counted")
        reconcile_counters.apply_async(queue=BULK, expires=-1)
        wait_for(lambda: counted(name).get((BULK, "expired")) == 1, "nothing expired")
        tasks.heartbeat.apply_async([BULK], queue=BULK)
        wait_for(lambda: counted(tasks.heartbeat.name)[BULK, "done"] == 1, "no beat was counted")
        assert counted(name)[BULK, "done"] == 0
