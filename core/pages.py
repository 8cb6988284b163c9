"""Whole pages for anonymous readers, served before sessions, users and views are thought of.

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
from django.urls import Resolver404, resolve
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language_from_request

from . import cache
from .paging import AFTER, BEFORE, NUMBER
from .ratelimit import seconds_to_wait

View = Callable[..., HttpResponse]
Marks = Callable[[HttpRequest, dict[str, Any], str], dict[str, str]]

FRESH_COOKIE = "fresh"
FRESH_SECONDS = 10  # several times what another process may show an old page
# What a view answers where there is no page any more, as when a debate was hidden.
GONE = {301, 302, 400, 403, 404, 410}
MOST_HOSTS = 16  # names under which the site is asked for, ports included
DATABASE_REST_SECONDS = 5.0  # how long stale pages are shown unasked after Postgres failed


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
    response.headers = _Headers(page.headers)
    response.headers["Content-Length"] = str(len(body))
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    if stale_since:
        response.headers["Age"] = str(int(time.time() - stale_since))
        response.headers["Warning"] = '110 - "Response is Stale"'
        response.headers["Cache-Control"] = "no-store"
    return response


class _Headers(ResponseHeaders):
    """Headers that were checked when their page was built; a tenth of a kept page's time else."""

    def __init__(self, checked: dict[str, str]):
        self._store = {name.lower(): (name, value) for name, value in checked.items()}


def is_on() -> bool:
    """Whether pages are kept: not in development, where a template changes under its page."""
    return settings.PAGE_CACHE and not settings.DEBUG


class PagesMiddleware:
    """Serve kept pages to anonymous readers; tell writers' browsers to insist on fresh ones."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response
        self._rests_until = 0.0
        self._hosts: set[str] = set()  # that ALLOWED_HOSTS names, as they were asked for

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return self._written(request, self.get_response(request))
        if not is_on():
            return self.get_response(request)
        if not request.META.get("HTTP_COOKIE"):
            return self._read(request)
        wish = request.COOKIES.get(FRESH_COOKIE)
        if wish is not None:
            with cache.insisting(wish if wish == cache.EVERY_BUILD else cache.NO_STALE):
                return self.get_response(request)
        if settings.SESSION_COOKIE_NAME in request.COOKIES or "messages" in request.COOKIES:
            return self.get_response(request)
        return self._read(request)

    def _written(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if response.status_code < 400:
            wish = cache.EVERY_BUILD if cache.owes() else cache.NO_STALE
            response.set_cookie(
                FRESH_COOKIE, wish, max_age=FRESH_SECONDS, httponly=True, samesite="Lax",
                secure=settings.HTTPS,
            )  # fmt: skip
        return response

    def _read(self, request: HttpRequest) -> HttpResponse:
        """Answer a reader without a session. No query; one round trip when warm, or none."""
        if request.path_info.startswith(settings.STATIC_URL) or (
            settings.SECURE_SSL_REDIRECT and not request.is_secure()
        ):
            return self.get_response(request)
        self._require_known_host(request)
        language = get_language_from_request(request)
        if not request.META.get("QUERY_STRING"):
            near = cache.near(PAGES, f"{language}:{request.path_info}?")
            # the address needs no resolving; another thread is about to name the view
            if near is not None and near.value.view is not None:
                return self._show(request, near)
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        spec: PublicPage | None = getattr(match.func, "public_page", None)
        query = spec.query(request) if spec else None
        if spec is None or query is None:
            return self.get_response(request)
        ask_for(request, query)
        key = f"{language}:{request.path_info}?{query}"
        found = cache.look(PAGES, key, spec.scopes(request.GET, **match.kwargs))
        if found.entry is None:
            cache.claim(PAGES, key, found)  # for the tokens: there is nothing to show meanwhile
            return self._build(request, match.func, key, found)
        found.entry.value.view = match.func
        if found.is_fresh:
            return self._show(request, found.entry)
        if self._is_spent(request, match.func):  # who is refused must not be the one to rebuild
            return self.get_response(request)
        if time.monotonic() < self._rests_until:
            return self._show(request, found.entry, stale=True)
        if cache.claim(PAGES, key, found):
            return self._build(request, match.func, key, found)
        return self._show(request, found.entry)

    def _require_known_host(self, request: HttpRequest) -> None:
        """Refuse what ``ALLOWED_HOSTS`` does not name, as the chain would."""
        host = request.META.get("HTTP_HOST", "")
        if host not in self._hosts or settings.USE_X_FORWARDED_HOST:
            request.get_host()
            if len(self._hosts) < MOST_HOSTS:
                self._hosts.add(host)

    def _show(
        self, request: HttpRequest, entry: cache.Entry, *, stale: bool = False
    ) -> HttpResponse:
        page: Page = entry.value
        if self._is_spent(request, page.view):
            return self.get_response(request)
        _read(request, page)
        return answer_with(request, page, stale_since=entry.built if stale else 0)

    def _is_spent(self, request: HttpRequest, view: View) -> bool:
        """Count the request once, if ``view`` is limited; whether the view would refuse it."""
        limit = getattr(view, "limit_name", "")
        if limit and not hasattr(request, "seconds_to_wait"):
            wait = seconds_to_wait(request, limit, settings.RATES[limit])
            request.seconds_to_wait = wait  # type: ignore[attr-defined]  # read by @limit
        return bool(getattr(request, "seconds_to_wait", 0))

    def _build(self, request: HttpRequest, view: View, key: str, found: cache.Look) -> HttpResponse:
        request.note = {}  # type: ignore[attr-defined]  # what the view says about its page
        with cache.insisting(cache.NO_STALE):
            response = self.get_response(request)
        if response.status_code == 503:
            self._rests_until = time.monotonic() + DATABASE_REST_SECONDS
            if found.entry is not None:
                return self._show(request, found.entry, stale=True)
        if found.entry is not None and response.status_code in GONE:
            cache.drop(PAGES, key)
        if response.status_code != 200 or response.cookies or response.streaming:
            return response
        page = page_of(response, request.note)  # type: ignore[attr-defined]
        page.view = view
        cache.keep(PAGES, key, found, page)
        _read(request, page)
        return answer_with(request, page)


def _read(request: HttpRequest, page: Page) -> None:
    on_read = page.view.public_page.on_read
    if on_read:
        on_read(request, page.note)


def ask_for(request: HttpRequest, query: str) -> None:
    """Make ``request`` ask for what is kept, so that its page does not repeat the rest."""
    if request.META.get("QUERY_STRING", "") != query:
        request.META["QUERY_STRING"] = query
        request.__dict__.pop("GET", None)  # a cached property
