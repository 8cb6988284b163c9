"""What a kept page is: how it is named, stored and sent. ``core.serving`` serves it.

A view says with ``core.member_pages.public_page`` that its page is the same for everyone
who is not logged in, what of the address changes it, and which writes make it stale. The
page is kept per language and per those parameters; free text and keys of deep pages are
never kept.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, QueryDict
from django.http.response import ResponseHeaders
from django.utils.cache import patch_vary_headers

from . import cache
from .paging import AFTER, BEFORE, NUMBER

View = Callable[..., HttpResponse]
Marks = Callable[[HttpRequest, dict[str, Any], str], dict[str, str]]


@dataclass(frozen=True)
class PublicPage:
    """How the page of a view is kept.

    ``params`` are the query parameters that change the page, ``never`` those that forbid to
    keep it; all others change nothing. ``scopes(params, **kwargs)`` names what makes it
    stale, from the kept parameters and the view's arguments. ``on_read(request, note)`` is
    called whenever somebody reads it, with what the view left in ``request.note`` (plain
    data). ``marks(request, note, csrf_token)`` returns what of the page is the member's own, by the names
    of its spots; without it members' pages are not kept.
    """

    params: frozenset[str]
    scopes: Callable[..., Sequence[str]]
    never: frozenset[str] = frozenset()
    on_read: Callable[[HttpRequest, dict[str, Any]], None] | None = None
    marks: Marks | None = None

    def read(self, request: HttpRequest, note: dict[str, Any]) -> None:
        """Tell ``on_read``, if there is one, that somebody reads the page."""
        if self.on_read:
            self.on_read(request, note)

    def query(self, request: HttpRequest) -> str | None:
        """Return the query string with nothing in it but what changes the page.

        ``None`` when the address asks for something that is not kept.
        """
        if not request.META.get("QUERY_STRING"):
            return ""
        if AFTER in request.GET or BEFORE in request.GET:
            return None
        if any(request.GET.get(name) for name in self.never):  # an empty field asks for nothing
            return None
        kept = QueryDict(mutable=True)
        for name in sorted(self.params):
            value = request.GET.get(name)
            # an empty filter is none; an empty number is no page, and answered so
            if value is not None and value != ("1" if name == NUMBER else ""):
                kept[name] = value
        return kept.urlencode()


@dataclass(slots=True)
class Page:
    """A page as it goes over the wire, and what its view noted about it."""

    html: bytes
    packed: bytes
    headers: dict[str, str]
    etag: str
    note: dict[str, Any]
    view: Any = field(default=None, compare=False)  # with its PublicPage and the name of its limit


def _dump(header: dict[str, Any], page: Page) -> bytes:
    meta = {
        "header": header,
        "headers": page.headers,
        "etag": page.etag,
        "note": page.note,
        "length": len(page.html),
    }
    return json.dumps(meta, separators=(",", ":")).encode() + b"\n" + page.html + page.packed


def _load(data: bytes) -> tuple[dict[str, Any], Page]:
    meta, _, body = data.partition(b"\n")
    facts = json.loads(meta)
    header, length = facts.pop("header"), facts.pop("length")
    return header, Page(html=body[:length], packed=body[length:], **facts)


PAGES = cache.Room("pages", _dump, _load)


def page_of(response: HttpResponse, note: dict[str, Any]) -> Page:
    """Return what is kept of ``response``; packing 40 KB takes about a millisecond."""
    html = response.content
    etag = f'W/"{hashlib.sha256(html).hexdigest()[:20]}"'  # weak: the packed form is the same page
    patch_vary_headers(response, ["Accept-Encoding", "Accept-Language", "Cookie"])
    response["Cache-Control"] = "no-cache"  # keep it, but ask each time
    response["ETag"] = etag
    headers = {k: v for k, v in response.items() if k != "Content-Length"}
    return Page(html, gzip.compress(html, 6, mtime=0), headers, etag, note)


def answer_with(request: HttpRequest, page: Page, *, stale_since: float = 0) -> HttpResponse:
    """Return ``page`` packed if the browser takes that, or 304 if it has it already.

    ``stale_since`` (Unix seconds) marks a page that could not be rebuilt.
    """
    if page.etag in request.META.get("HTTP_IF_NONE_MATCH", ""):
        kept = ("ETag", "Vary", "Cache-Control")
        return HttpResponseNotModified(headers={name: page.headers[name] for name in kept})
    packed = "gzip" in request.META.get("HTTP_ACCEPT_ENCODING", "")
    body = page.packed if packed else page.html
    response = HttpResponse(body)
    response.headers = CheckedHeaders(page.headers)
    response.headers["Content-Length"] = str(len(body))
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    if stale_since:
        response.headers["Age"] = str(int(time.time() - stale_since))
        response.headers["Warning"] = '110 - "Response is Stale"'
        response.headers["Cache-Control"] = "no-store"
    return response


class CheckedHeaders(ResponseHeaders):
    """Headers that were checked when their page was built; a tenth of a kept page's time else."""

    def __init__(self, checked: dict[str, str]):
        self._store = {name.lower(): (name, value) for name, value in checked.items()}


def is_on() -> bool:
    """Whether pages are kept: not in development, where a template changes under its page."""
    return settings.PAGE_CACHE and not settings.DEBUG


def ask_for(request: HttpRequest, query: str) -> None:
    """Make ``request`` ask for what is kept, so that its page does not repeat the rest."""
    if request.META.get("QUERY_STRING", "") != query:
        request.META["QUERY_STRING"] = query
        request.__dict__.pop("GET", None)  # a cached property
