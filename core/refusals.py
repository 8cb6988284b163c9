"""Pages for requests the house turns away, with what the reader typed kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views import defaults

from .database import DATABASE_GONE

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

UNAVAILABLE_SECONDS = 10  # a Postgres that restarts is back by then
DRAFT_FIELDS = ("title", "description", "content", "text")
PRIVATE_PATHS = ("/conta/", "/admin/")  # account pages never echo anything


def draft(request: HttpRequest) -> list[str]:
    """Return the texts of a refused POST; nothing of account pages and the admin."""
    if request.method != "POST" or request.path.startswith(PRIVATE_PATHS):
        return []
    texts = (request.POST.get(name, "").replace("\x00", "") for name in DRAFT_FIELDS)
    return [text for text in texts if text.strip()]


def wants_json(request: HttpRequest) -> bool:
    """Whether a script asks: JSON is accepted and HTML is not named."""
    accept = request.headers.get("Accept", "")
    return "application/json" in accept and "text/html" not in accept


def too_many_requests(request: HttpRequest, seconds: int) -> HttpResponse:
    """429, with the owner's sentence and when to come back: JSON for scripts, a page for people."""
    sentence = _("Limite de requisições excedido. Tente novamente mais tarde.")
    if wants_json(request):
        response: HttpResponse = JsonResponse({"error": sentence, "status": 429}, status=429)
    else:
        context = {"sentence": sentence, "drafts": draft(request), **_wait(seconds)}
        response = render(request, "429.html", context, status=429)
    response["Retry-After"] = str(seconds)
    response["Cache-Control"] = "no-store"
    return response


def _wait(seconds: int) -> dict[str, int]:
    """What a person is told to wait: seconds up to a minute and a half, then whole minutes."""
    return {"minutes": -(-seconds // 60)} if seconds > 90 else {"seconds": seconds}


def refused(
    request: HttpRequest, sentence: StrOrPromise, *, status: int, login_next: str = ""
) -> HttpResponse:
    """A page that says why, offers the words to copy and, with ``login_next``, the log-in."""
    context = {"sentence": sentence, "drafts": draft(request), "login_next": login_next}
    response = render(request, "refused.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, the site's ``handler404``: a reply to a debate that was hidden meanwhile is not lost."""
    return render(request, "404.html", {"drafts": draft(request)}, status=404)


def unavailable(request: HttpRequest) -> HttpResponse:
    """503 from a page that needs no database, with when to come back."""
    response = HttpResponse(render_to_string("503.html"), status=503)
    response["Retry-After"] = str(UNAVAILABLE_SECONDS)
    response["Cache-Control"] = "no-store"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """The site's ``handler500``: 503 when the database is what failed, wherever that was.

    A view's own error is answered in ``core.middleware``; one raised around it, as when the
    session is saved, comes here. Called while the exception is handled.
    """
    if isinstance(sys.exception(), DATABASE_GONE):
        return unavailable(request)
    return defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that is too old or not ours; the draft can be copied from the page."""
    response = render(request, "403_csrf.html", {"drafts": draft(request)}, status=403)
    response["Cache-Control"] = "no-store"
    return response
