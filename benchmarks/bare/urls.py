"""``/bytes/<n>``: a body of n bytes that was made before; ``/healthz`` for the start."""

from functools import cache

from django.http import HttpRequest, HttpResponse
from django.urls import path


@cache
def _body(size: int) -> bytes:
    return b"x" * size


def bare(request: HttpRequest, size: int = 2) -> HttpResponse:
    """Answer ``size`` bytes."""
    return HttpResponse(_body(size))


urlpatterns = [path("bytes/<int:size>", bare), path("healthz", bare)]
