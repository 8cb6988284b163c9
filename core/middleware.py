"""What stands between a request and its view: as little as possible."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from . import refusals
from .ratelimit import LimitExceeded


class RateLimitMiddleware:
    """Answer ``LimitExceeded`` with 429; django-ratelimit alone would answer 403."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, LimitExceeded):
            return refusals.too_many_requests(request, exception.seconds)
        return None
