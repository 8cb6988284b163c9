"""Pages for requests the house turns away, with what the reader typed kept."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

RETRY_AFTER_SECONDS = 60  # bursts are counted by the minute
DRAFT_FIELDS = ("title", "description", "content", "text")


def draft(request: HttpRequest) -> list[str]:
    """Return the texts of a refused post, longest part last; nothing on account pages."""
    if request.method != "POST" or request.path.startswith("/conta/"):
        return []
    texts = (request.POST.get(name, "").replace("\x00", "") for name in DRAFT_FIELDS)
    return [text for text in texts if text.strip()]


def wants_json(request: HttpRequest) -> bool:
    """Whether a script asks: JSON accepted and HTML not named before it."""
    accept = request.headers.get("Accept", "")
    return "application/json" in accept and "text/html" not in accept


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """429, with the owner's sentence: JSON for scripts, a page for people."""
    sentence = _("Limite de requisições excedido. Tente novamente mais tarde.")
    if wants_json(request):
        response: HttpResponse = JsonResponse({"error": sentence, "status": 429}, status=429)
    else:
        context = {"sentence": sentence, "drafts": draft(request), "seconds": RETRY_AFTER_SECONDS}
        response = render(request, "429.html", context, status=429)
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response["Cache-Control"] = "no-store"
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that is too old or not ours; the draft can be copied from the page."""
    response = render(request, "403_csrf.html", {"drafts": draft(request)}, status=403)
    response["Cache-Control"] = "no-store"
    return response
