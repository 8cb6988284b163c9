"""What this thread does just now: which request or task, and what it has asked of Postgres.

The thread's own, not a context variable: every request, and every task, stays on one thread,
and a look at it costs 40 nanoseconds.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import Any

NO_VIEW = "none"  # an address that leads nowhere, or a request that was refused before its view
STATIC = "static"

NO_REQUEST = "-"

# The name of the request, also in the tasks it sends: ``-`` outside of both.
request_id: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)


class _Work(threading.local):
    request: Any = None  # an HttpRequest
    task = ""  # the name of a task
    task_id = ""
    begun = 0.0  # when the task began, ``time.perf_counter``
    outer = (NO_REQUEST, "", "")  # request, task and id that this task interrupts
    queries = 0  # statements of this thread since it began; whoever wants a part subtracts

    @property
    def view(self) -> str:
        """The view of the request, ``""`` outside of one."""
        return view_of(self.request) if self.request is not None else ""


work = _Work()


def view_of(request: Any) -> str:
    """The name of the view that answers ``request``: ``core:home``; or ``static``, or ``none``."""
    match = request.resolver_match
    if match is not None:
        return match.view_name or NO_VIEW
    # a kept page was answered without resolving its address
    return getattr(request, "kept_view", NO_VIEW)
