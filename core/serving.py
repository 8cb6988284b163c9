"""Kept pages are served before sessions, users and views are thought of.

Anonymous readers get theirs from this process or one round trip. A member's costs session,
user and marks, and not the rest of the chain: its headers were kept with it. What is not
kept, not fresh or not ordinary goes down the chain, where it is built.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache as once
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import Resolver404, resolve
from django.utils import translation

from . import cache
from .member_pages import MEMBERS, Building, key_of, personal
from .pages import (
    PAGES,
    CheckedHeaders,
    Page,
    PublicPage,
    View,
    answer_with,
    ask_for,
    is_on,
    page_of,
)
from .ratelimit import seconds_to_wait

FRESH_COOKIE = "fresh"
FRESH_SECONDS = 10  # several times what another process may show an old page
# What a view answers where there is no page any more, as when a debate was hidden.
GONE = {301, 302, 400, 403, 404, 410}
MOST_HOSTS = 16  # names under which the site is asked for, ports included
DATABASE_REST_SECONDS = 5.0  # how long stale pages are shown unasked after Postgres failed


class PagesMiddleware:
    """Serve kept pages; tell writers' browsers to insist on fresh ones."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response
        self._csrf = CsrfViewMiddleware(get_response)
        self._rests_until = 0.0
        self._hosts: set[str] = set()  # that ALLOWED_HOSTS names, as they were asked for

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return self._written(request, self.get_response(request))
        if (
            not is_on()
            or request.path_info.startswith(settings.STATIC_URL)
            or (settings.SECURE_SSL_REDIRECT and not request.is_secure())
        ):
            return self.get_response(request)
        if not request.META.get("HTTP_COOKIE"):
            return self._read(request)
        wish = request.COOKIES.get(FRESH_COOKIE)
        if wish is not None:
            with cache.insisting(wish if wish == cache.EVERY_BUILD else cache.NO_STALE):
                return self._down_the_chain(request)
        if "messages" in request.COOKIES:
            return self._down_the_chain(request)
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            return self._read_as_member(request)
        return self._read(request)

    def _written(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if response.status_code < 400:
            wish = cache.EVERY_BUILD if cache.owes() else cache.NO_STALE
            response.set_cookie(
                FRESH_COOKIE, wish, max_age=FRESH_SECONDS, httponly=True, samesite="Lax",
                secure=settings.HTTPS,
            )  # fmt: skip
        return response

    # --- anonymous readers ---------------------------------------------------------

    def _read(self, request: HttpRequest) -> HttpResponse:
        """Answer a reader without a session. No query; one round trip when warm, or none."""
        self._require_known_host(request)
        language = translation.get_language_from_request(request)
        if not request.META.get("QUERY_STRING"):
            near = cache.near(PAGES, f"{language}:{request.path_info}?")
            # the address needs no resolving; another thread is about to name the view
            if near is not None and near.value.view is not None:
                return self._show(request, near)
        view, spec, query, kwargs = _resolved(request)
        if spec is None or query is None:
            return self.get_response(request)
        ask_for(request, query)
        key = f"{language}:{request.path_info}?{query}"
        found = cache.look(PAGES, key, spec.scopes(request.GET, **kwargs))
        if found.entry is None:
            cache.claim(PAGES, key, found)  # for the tokens: there is nothing to show meanwhile
            return self._build(request, view, key, found)
        found.entry.value.view = view
        if found.is_fresh:
            return self._show(request, found.entry)
        if self._is_spent(request, view):  # who is refused must not be the one to rebuild
            return self.get_response(request)
        if time.monotonic() < self._rests_until:
            return self._show(request, found.entry, stale=True)
        if cache.claim(PAGES, key, found):
            return self._build(request, view, key, found)
        return self._show(request, found.entry)

    def _show(
        self, request: HttpRequest, entry: cache.Entry, *, stale: bool = False
    ) -> HttpResponse:
        page: Page = entry.value
        # what waits for a rebuild waits for Postgres then
        stale = stale or (entry.is_waiting and time.monotonic() < self._rests_until)
        request.kept_view = page.view.view_name  # type: ignore[attr-defined]  # core.work
        if self._is_spent(request, page.view):
            return self.get_response(request)
        page.view.public_page.read(request, page.note)
        return answer_with(request, page, stale_since=entry.built if stale else 0)

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
        page.view.public_page.read(request, page.note)
        return answer_with(request, page)

    # --- members -------------------------------------------------------------------

    def _read_as_member(self, request: HttpRequest) -> HttpResponse:
        """Answer a member whose page is kept and fresh. Queries: the user, and those of ``marks``."""
        self._require_known_host(request)
        language = translation.get_language_from_request(request)
        near = None
        if not request.META.get("QUERY_STRING"):
            near = cache.near(MEMBERS, key_of(language, request.path_info, ""))
        if near is None or near.value.view is None:
            view, spec, query, kwargs = _resolved(request)
            if spec is None or query is None or spec.marks is None:
                return self.get_response(request)
            ask_for(request, query)
            key = key_of(language, request.path_info, query)
            found = cache.look(MEMBERS, key, spec.scopes(request.GET, **kwargs))
            if found.entry is None or not found.is_fresh:
                return self._down_the_chain(request)
            near = found.entry
            near.value.view = view
        page = near.value
        request.kept_view = page.view.view_name  # type: ignore[attr-defined]  # core.work
        if not (page.headers and self._is_ordinary_member(request)):
            return self._down_the_chain(request)
        if self._is_spent(request, page.view):
            return self.get_response(request)
        with translation.override(language):
            response = personal(request, page, page.view.public_page)
        response.headers = CheckedHeaders(page.headers)
        response.headers["Content-Length"] = str(len(response.content))
        return response

    def _is_ordinary_member(self, request: HttpRequest) -> bool:
        """Set session, user and CSRF secret as the chain does; whether that is all it would do.

        It has more to do for staff, for messages that wait, for a browser without the CSRF
        cookie and for a session that changes.
        """
        session = _session_store()(request.COOKIES[settings.SESSION_COOKIE_NAME])
        request.session = session
        user = get_user(request)
        if not user.is_authenticated or user.is_staff:  # type: ignore[union-attr]  # only users
            return False
        if session.modified or SessionStorage.session_key in session:
            return False
        request.user = user  # type: ignore[assignment]
        self._csrf.process_request(request)
        known = request.META
        return bool(known.get("CSRF_COOKIE")) and not known.get("CSRF_COOKIE_NEEDS_UPDATE")

    def _down_the_chain(self, request: HttpRequest) -> HttpResponse:
        """Let the rest of the site answer; keep the page for all members that it built, if it did."""
        response = self.get_response(request)
        building: Building | None = getattr(request, "building", None)
        if building is not None and response.status_code == 200:
            headers = {k: v for k, v in response.items() if k != "Content-Length"}
            building.page.headers = headers
            cache.keep(MEMBERS, building.key, building.found, building.page)
        return response

    # --- both ----------------------------------------------------------------------

    def _require_known_host(self, request: HttpRequest) -> None:
        """Refuse what ``ALLOWED_HOSTS`` does not name, as the chain would."""
        host = request.META.get("HTTP_HOST", "")
        if host not in self._hosts or settings.USE_X_FORWARDED_HOST:
            request.get_host()
            if len(self._hosts) < MOST_HOSTS:
                self._hosts.add(host)

    def _is_spent(self, request: HttpRequest, view: View) -> bool:
        """Count the request once, if ``view`` is limited; whether the view would refuse it."""
        limit = getattr(view, "limit_name", "")
        if limit and not hasattr(request, "seconds_to_wait"):
            wait = seconds_to_wait(request, limit, settings.RATES[limit])
            request.seconds_to_wait = wait  # type: ignore[attr-defined]  # read by @limit
        return bool(getattr(request, "seconds_to_wait", 0))


def _resolved(
    request: HttpRequest,
) -> tuple[View, PublicPage | None, str | None, dict[str, Any]]:
    """The view of an address, how its page is kept, the query it is kept under, its arguments."""
    try:
        match = resolve(request.path_info)
    except Resolver404:
        return HttpResponse, None, None, {}
    spec: PublicPage | None = getattr(match.func, "public_page", None)
    match.func.view_name = match.view_name  # type: ignore[attr-defined]  # for kept pages
    return match.func, spec, spec.query(request) if spec else None, match.kwargs


@once
def _session_store() -> type:
    return import_module(settings.SESSION_ENGINE).SessionStore
