"""Who may enter."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from core import refusals
from core.answers import is_ours

View = Callable[..., HttpResponse]


def member_required(view: View) -> View:
    """Send an anonymous visitor to the login and, afterwards, back to where they were.

    After a POST that is the page the form stood on, because the form's own address may
    answer POST only. A POST that carries words gets a page with them instead: whoever was
    logged out while writing loses nothing. htmx gets a redirect of the whole page, not a
    login form in a button.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        target = request.get_full_path() if request.method == "GET" else _origin(request)
        if refusals.draft(request):
            sentence = _("A sua sessão terminou antes do envio. Entre e envie de novo.")
            return refusals.refused(request, sentence, status=403, login_next=target)
        response = redirect_to_login(target)
        return HttpResponseClientRedirect(response.url) if request.htmx else response

    return wrapped


def staff_required(view: View) -> View:
    """404 for everybody but staff: what you may not see does not exist."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        if not request.user.is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return wrapped


def _origin(request: HttpRequest) -> str:
    """The page of this site that the request came from, else home."""
    referer = request.headers.get("Referer", "")
    if not is_ours(request, referer):
        return "/"
    parts = urlsplit(referer)
    return parts._replace(scheme="", netloc="").geturl() or "/"
