"""One name for each request, in its answer and in every line that is logged meanwhile."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path

logger = logging.getLogger("core.requests")

HEADER = "X-Request-ID"
SECRET_PATH = "/conta/senha/"  # noqa: S105  the link of a password mail stands below it
_NAME = re.compile(r"[A-Za-z0-9-]{8,64}\Z")  # what proxies send; anything else is not repeated

request_id: ContextVar[str] = ContextVar("request_id", default="-")


class RequestMiddleware:
    """Name the request, send the name back, and log one line when it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        name = given if _NAME.match(given) else secrets.token_hex(8)
        token = request_id.set(name)
        try:
            response = self.get_response(request)
            response.headers[HEADER] = name
            logger.info(
                "%s %s %d %.1f ms",
                request.method,
                _loggable(request.path),
                response.status_code,
                (time.perf_counter() - begun) * 1000,
            )
            return response
        finally:
            request_id.reset(token)


@lru_cache(maxsize=1024)
def _loggable(path: str) -> str:
    """The path without what opens somebody's account, and on one line."""
    return _hidden(escape_uri_path(path))


def _hidden(value: object) -> Any:
    is_secret = isinstance(value, str) and value.startswith(SECRET_PATH)
    return SECRET_PATH if is_secret else value


class AddRequestId(logging.Filter):
    """Give every record the name of the request it was logged in, ``-`` outside of one.

    And leave secret paths out of it: Django logs the path of whatever it answers with an error.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        if isinstance(record.args, tuple):
            record.args = tuple(map(_hidden, record.args))
        return True
