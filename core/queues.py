"""The queues of the background work, and which task waits in which. No Django: settings use it.

``critical`` is what a person waits for in front of a screen, ``default`` what they expect within
seconds, ``bulk`` what may take the night. A worker that serves two of them takes turns, so long
work belongs to ``bulk``, which has a worker of its own.
"""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue

CRITICAL, DEFAULT, BULK = "critical", "default", "bulk"
NAMES = (CRITICAL, DEFAULT, BULK)
# Each behind an exchange of its own: two bound to one key would each get a copy.
QUEUES = [Queue(name, Exchange(name), routing_key=name) for name in NAMES]

# What is not named here waits in ``default``; ``core.tasks.send_mail`` and ``heartbeat`` are told
# their queue each time.
ROUTES = {
    name: {"queue": BULK}
    for name in (
        "core.tasks.clear_expired_cache",
        "core.tasks.clear_expired_results",
        "core.tasks.clear_expired_sessions",
        "core.tasks.clear_old_mail",
        "debates.tasks.clear_old_notifications",
        "debates.tasks.reconcile_counters",
        "debates.tasks.weekly_report",
        "debates.tasks.reconcile_unread",
        "debates.tasks.send_digests",
    )
}

# Workers. Kombu itself looks after a connection that falls silent, every 25 s.
TRANSPORT: dict[str, Any] = {
    "socket_connect_timeout": 0.5,  # seconds
    "socket_timeout": 5,
    "socket_keepalive": True,
    "visibility_timeout": 3600,  # longer than any task may run, or it would be delivered twice
}
# Whoever publishes has a reader waiting: 200 ms and one more attempt, so less than half a second.
PUBLISHING = {**TRANSPORT, "socket_connect_timeout": 0.2, "socket_timeout": 0.2}
PUBLISH_RETRIES = {"max_retries": 1, "interval_start": 0, "interval_max": 0}
