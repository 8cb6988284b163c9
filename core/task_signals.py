"""What a task is called while it runs, and how it ended: for logs and metrics.

The name of a request goes with every task that it sends, and with those that they send. A task
that Beat sent is called by its own id. Celery's signals; importing this module connects them.
"""

from __future__ import annotations

import time
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.signals import (
    before_task_publish,
    task_failure,
    task_postrun,
    task_prerun,
    task_revoked,
    worker_process_shutdown,
    worker_ready,
)

from . import logs
from .metrics import counting
from .work import NO_REQUEST, request_id, work

HEADER = "request_id"
OUTCOMES = {"SUCCESS": "done", "FAILURE": "failed", "RETRY": "again"}


@before_task_publish.connect
def _name(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    if headers is not None and request_id.get() != NO_REQUEST:
        headers.setdefault(HEADER, request_id.get())


@worker_ready.connect
def _expect(sender: Any = None, **kwargs: Any) -> None:
    """Let the series that alerts look at begin at 0, before the first of them is counted.

    Told in the worker's main process, whose numbers are added to its children's.
    """
    for name in sender.app.tasks:
        if name.startswith("celery."):  # Celery's own, which nobody sends
            continue
        counting.expect("tasks", name, "", "killed")
        for queue in sender.app.amqp.queues.consume_from:
            for outcome in ("done", "failed"):
                counting.expect("tasks", name, queue, outcome)


@task_prerun.connect
def _begin(task_id: str = "", task: Any = None, **kwargs: Any) -> None:
    work.outer = request_id.get(), work.task, work.task_id  # of a task that is run in place
    request_id.set(getattr(task.request, HEADER, None) or task_id)
    work.task, work.task_id = task.name, task_id
    work.begun = time.perf_counter()


@task_postrun.connect
def _end(task: Any = None, state: str = "", **kwargs: Any) -> None:
    queue = _queue(task.request)
    counting.count("tasks", task.name, queue, OUTCOMES.get(state, "other"))
    counting.observe(time.perf_counter() - work.begun, "task_seconds", task.name, queue)
    name, work.task, work.task_id = work.outer
    request_id.set(name)


@task_failure.connect
def _killed(sender: Any = None, exception: Any = None, **kwargs: Any) -> None:
    """Told in the worker's main process, when the one that ran the task is gone."""
    if isinstance(exception, TimeLimitExceeded | WorkerLostError):
        counting.count("tasks", sender.name, "", "killed")


@task_revoked.connect
def _expired(sender: Any = None, request: Any = None, expired: bool = False, **kwargs: Any) -> None:
    """Told in the worker's main process: no child has seen the task."""
    if expired:
        counting.count("tasks", sender.name, _queue(request), "expired")


@worker_process_shutdown.connect
def _hand_over(**kwargs: Any) -> None:
    """In a child that ends: it runs nothing that was left for the end of a process."""
    counting.flush()
    logs.flush_all()


def _queue(request: Any) -> str:
    return str((request.delivery_info or {}).get("routing_key") or "")
