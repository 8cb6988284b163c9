"""One answer for both kinds of browser."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers


def answer(
    request: HttpRequest, part: str, context: dict[str, Any], *, else_to: Any
) -> HttpResponse:
    """Return ``part`` to htmx, a redirect to ``else_to`` to a browser without scripts."""
    response = render(request, part, context) if request.htmx else redirect(else_to)
    patch_vary_headers(response, ["HX-Request"])
    return response
