"""What a request brought, and one answer for both kinds of browser."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request as django-htmx' middleware leaves it."""

    htmx: HtmxDetails


def answer(
    request: HtmxRequest, part: str, context: dict[str, Any], *, else_to: Any
) -> HttpResponse:
    """Return ``part`` to htmx, a redirect to ``else_to`` to a browser without scripts."""
    response = render(request, part, context) if request.htmx else redirect(else_to)
    return vary_on_htmx(response)


def vary_on_htmx(response: HttpResponse) -> HttpResponse:
    """Say that htmx gets another answer here, or a cache hands a part to a full page."""
    patch_vary_headers(response, ["HX-Request"])
    return response


def is_ours(request: HttpRequest, address: str) -> bool:
    """Whether ``address`` leads to this site, in the request's own scheme or a safer one."""
    return url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )


def safe_next(request: HttpRequest, target: str, *, default: str = "/") -> HttpResponseRedirect:
    """Redirect to ``target`` if it is a path of this site, else to ``default``.

    Not Django's ``redirect``, which takes a word without a slash for the name of a view.
    """
    allowed = target.startswith("/") and is_ours(request, target)
    return HttpResponseRedirect(target if allowed else default)


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: the POST, empty or not, or ``None`` on a GET.

    ``request.POST or None`` would take an empty POST for a first visit.
    """
    return request.POST if request.method == "POST" else None
