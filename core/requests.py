"""One name for each request, in its answer and in every line that is logged meanwhile."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path

from .metrics import counting
from .scrubbing import without_values
from .work import NO_VIEW, STATIC, request_id, view_of, work

logger = logging.getLogger("core.requests")
slow = logging.getLogger("core.requests.slow")

HEADER = "X-Request-ID"
METRICS_PATH = "/metrics"  # who watches is not counted
# What stands below them is left out: the link of a password mail, and people's names.
PERSONAL_PATHS = ("/conta/senha/", "/leitores/")
CELERYS = {"celery.app.trace", "celery.worker.strategy", "celery.worker.request"}
WORDS_OF_TASKS = {"args", "kwargs", "return_value", "exc", "traceback"}
_NAME = re.compile(r"[A-Za-z0-9-]{8,64}\Z")  # what proxies send; anything else is not repeated


class RequestMiddleware:
    """Name the request, send the name back; count and log it when it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response
        self.slow_ms = settings.SLOW_REQUEST_MS

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        # a name and no secret
        name = given if _NAME.match(given) else f"{random.getrandbits(64):016x}"
        token = request_id.set(name)
        outer, work.request, before = work.request, request, work.queries
        try:
            response = self.get_response(request)
            response.headers[HEADER] = name
            seconds = time.perf_counter() - begun
            self._tell(request, response.status_code, seconds, work.queries - before)
            return response
        finally:
            work.request = outer
            request_id.reset(token)

    def _tell(self, request: HttpRequest, status: int, seconds: float, queries: int) -> None:
        view = view_of(request)
        if view is NO_VIEW and request.path_info.startswith(settings.STATIC_URL):
            view = STATIC
        if request.path_info != METRICS_PATH:
            counting.answered(view, status, seconds, queries)
        ms = seconds * 1000
        if logger.isEnabledFor(logging.INFO):
            logger.handle(_record(request, view, status, ms, queries))
        if ms >= self.slow_ms:
            slow.warning(
                "slow request",
                extra={"fields": {"status": status, "ms": round(ms, 1), "queries": queries}},
            )


def _record(
    request: HttpRequest, view: str, status: int, ms: float, queries: int
) -> logging.LogRecord:
    """What ``logger.info`` makes, as a copy of the first one: a microsecond instead of five."""
    now = time.time()
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = {
        **_FIRST,
        "args": (request.method, _loggable(request.path), status, ms),
        "created": now,
        "msecs": now % 1 * 1000,
        "request_id": request_id.get(),
        "fields": {"view": view, "status": status, "ms": round(ms, 2), "queries": queries},
    }
    return record


_FIRST = vars(
    logging.LogRecord(logger.name, logging.INFO, __file__, 0, "%s %s %d %.1f ms", (), None)
)


@lru_cache(maxsize=1024)
def _loggable(path: str) -> str:
    """The path without what is somebody's own, and on one line."""
    return _hidden(escape_uri_path(path))


def _hidden(value: object) -> Any:
    if isinstance(value, str) and value.startswith("/"):
        whole = f"/{value.lstrip('/')}"  # //leitores/ana/ leads nowhere, and is a name all the same
        for path in PERSONAL_PATHS:
            if whole.startswith(path) and whole != path:
                return path
    return value


class AddRequestId(logging.Filter):
    """Give every record the name of the request it was logged in, ``-`` outside of one.

    And leave personal paths out of it: Django logs the path of whatever it answers with an error.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == logger.name:  # it has been made without
            return True
        record.request_id = request_id.get()
        if isinstance(record.args, tuple):
            record.args = tuple(map(_hidden, record.args))
        elif record.name in CELERYS and isinstance(record.args, dict):
            record.args = {name: _without(name, word) for name, word in record.args.items()}
        return True


def _without(name: str, word: Any) -> Any:
    """A word of Celery's about a task: what went in, came out or failed, without its values."""
    return without_values(str(word)) if name in WORDS_OF_TASKS else word
