"""What a request brought, and one answer for both kinds of browser."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request as django-htmx' middleware leaves it."""

    htmx: HtmxDetails


def answer(
    request: HtmxRequest, part: str, context: dict[str, Any], *, else_to: Any
) -> HttpResponse:
    """Return ``part`` to htmx, a redirect to ``else_to`` to a browser without scripts."""
    response = render(request, part, context) if request.htmx else redirect(else_to)
    patch_vary_headers(response, ["HX-Request"])
    return response


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: the POST, empty or not, or ``None`` on a GET.

    ``request.POST or None`` would take an empty POST for a first visit.
    """
    return request.POST if request.method == "POST" else None
