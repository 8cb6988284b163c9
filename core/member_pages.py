"""A member's page: the part for everyone kept once, what is the member's own put in.

The view runs for a stand-in, a member who voted on nothing and wrote nothing. Its template
names the *spots* that differ from member to member; the kept page is the text around them. A
warm page costs the member and what ``marks`` asks of the ids on the page, and nothing else.
"""

from __future__ import annotations

import copy
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from struct import unpack
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import CSRF_ALLOWED_CHARS, get_token
from django.template.loader import render_to_string
from django.utils.functional import SimpleLazyObject
from django.utils.html import escape
from django.utils.translation import get_language

from . import cache
from .layouts import CSRF, Layout
from .pages import PAGES, Marks, PublicPage, View, ask_for, is_on


@dataclass(slots=True)
class MemberPage:
    """A page for all members; what its view noted; its headers."""

    layout: Layout
    note: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    view: Any = field(default=None, compare=False)  # with its PublicPage and the name of its limit


def _dump(header: dict[str, Any], page: MemberPage) -> bytes:
    facts = {
        "header": header,
        "note": page.note,
        "headers": page.headers,
        "marks": page.layout.marks(),
    }
    return json.dumps(facts, separators=(",", ":")).encode() + b"\n" + page.layout.text


def _load(data: bytes) -> tuple[dict[str, Any], MemberPage]:
    line, _, text = data.partition(b"\n")
    facts = json.loads(line)
    header, marks = facts.pop("header"), facts.pop("marks")
    return header, MemberPage(Layout(text, marks), **facts)


MEMBERS = cache.Room(PAGES.alias, _dump, _load)


@dataclass(slots=True)
class Building:
    """A page for all members that this request builds; ``core.serving`` keeps it on its way out."""

    key: str
    found: cache.Look
    page: MemberPage


# The secret between the marks of one page, which no reader can write into a text.
_secret: ContextVar[str] = ContextVar("secret", default="")


def public_page(
    *params: str,
    scopes: Callable[..., Sequence[str]],
    never: Iterable[str] = (),
    on_read: Callable[[HttpRequest, dict[str, Any]], None] | None = None,
    marks: Marks | None = None,
) -> Callable[[View], View]:
    """Keep the page of a view; what the words mean is said at ``core.pages.PublicPage``.

    A limit of the view stands above this. ``core.serving.PagesMiddleware`` serves a page before
    either is reached; here one for members is built. Staff, who see more, get a page of their
    own each time.
    """

    def decorate(view: View) -> View:
        spec = PublicPage(frozenset(params), scopes, frozenset(never), on_read, marks)

        @wraps(view)
        def wrapped(request: HttpRequest, *args, **kwargs) -> HttpResponse:
            if hasattr(request, "note"):  # PagesMiddleware keeps what comes now
                return view(request, *args, **kwargs)
            is_member = request.user.is_authenticated and not request.user.is_staff
            if is_member and is_on() and spec.marks:
                query = spec.query(request)
                if query is not None:
                    return _member_page(spec, view, request, query, kwargs)
            request.note = {}  # type: ignore[attr-defined]  # what the view says of its page
            response = view(request, *args, **kwargs)
            if response.status_code == 200:
                spec.read(request, request.note)  # type: ignore[attr-defined]
            return response

        wrapped.public_page = spec  # type: ignore[attr-defined]  # read by PagesMiddleware
        return wrapped

    return decorate


def no_marks(request: HttpRequest, note: dict[str, Any], csrf_token: str) -> dict[str, str]:
    """A page on which nothing is the member's own but the menu and messages of every page."""
    return {}


def key_of(language: str, path: str, query: str) -> str:
    return f"{language}:member:{path}?{query}"


def _member_page(
    spec: PublicPage, view: View, request: HttpRequest, query: str, kwargs: dict[str, Any]
) -> HttpResponse:
    key = key_of(get_language() or "", request.path_info, query)
    ask_for(request, query)
    found = cache.look(MEMBERS, key, spec.scopes(request.GET, **kwargs))
    if found.entry is not None and (found.is_fresh or not cache.claim(MEMBERS, key, found)):
        return personal(request, found.entry.value, spec)
    if found.entry is None:
        cache.claim(MEMBERS, key, found)  # for the tokens: there is nothing to show meanwhile
    page = _build(view, request, kwargs)
    if page is None:
        if found.entry is not None:
            cache.drop(MEMBERS, key)
        return view(request, **kwargs)  # what it refuses, it refuses everybody
    request.building = Building(key, found, page)  # type: ignore[attr-defined]
    return personal(request, page, spec)


def personal(request: HttpRequest, page: MemberPage, spec: PublicPage) -> HttpResponse:
    """Return ``page`` with what is the member's own. Queries: those of ``marks``."""
    token = _csrf_token(request)
    own = _everywhere(request)
    if spec.marks:
        own.update(spec.marks(request, page.note, token))
    spec.read(request, page.note)
    response = HttpResponse(page.layout.fill(own, token))
    response["Cache-Control"] = "private, no-cache"
    return response


def _build(view: View, request: HttpRequest, kwargs: dict[str, Any]) -> MemberPage | None:
    """Return the page of the stand-in; ``None`` if the view has another answer."""
    twin = copy.copy(request)
    twin.user = get_user_model()(pk=0, username="leitor")  # type: ignore[assignment]  # no row
    twin._messages = []  # type: ignore[attr-defined]  # the reader's own stay unread
    twin.note = {}  # type: ignore[attr-defined]
    try:
        with _marking() as secret, cache.insisting(cache.NO_STALE):
            response = view(twin, **kwargs)
    except Http404:
        return None
    if response.status_code != 200:
        return None
    parts = re.split(f"\x1e{secret}([^\x1f]*)\x1f", response.content.decode())
    return MemberPage(Layout.of(parts), twin.note)  # type: ignore[attr-defined]


def _csrf_token(request: HttpRequest) -> str:
    """Django's ``get_token`` with one draw of chance instead of 32, each a system call.

    The secret behind a mask that is another one each time: 32 characters of mask, and as many
    of the secret, each moved by its mask.
    """
    if "CSRF_COOKIE" not in request.META:
        return get_token(request)  # which makes one
    request.META["CSRF_COOKIE_NEEDS_UPDATE"] = True
    mask = "".join(
        _TWO[place]
        for chance in unpack("4Q", secrets.token_bytes(32))
        for place in _four_places(chance)
    )
    return mask + "".join(
        map(_MOVED.__getitem__, zip(request.META["CSRF_COOKIE"], mask, strict=True))
    )


def _four_places(chance: int) -> tuple[int, int, int, int]:
    """Where ``chance``, of 64 bits, leads in ``_TWO``: eight letters, even to one in 80,000."""
    chance, first = divmod(chance, len(_TWO))
    chance, second = divmod(chance, len(_TWO))
    chance, third = divmod(chance, len(_TWO))
    return first, second, third, chance % len(_TWO)


_TWO = [one + other for one in CSRF_ALLOWED_CHARS for other in CSRF_ALLOWED_CHARS]
_MOVED = {
    (letter, mask): CSRF_ALLOWED_CHARS[(place + move) % len(CSRF_ALLOWED_CHARS)]
    for place, letter in enumerate(CSRF_ALLOWED_CHARS)
    for move, mask in enumerate(CSRF_ALLOWED_CHARS)
}


def _everywhere(request: HttpRequest) -> dict[str, str]:
    """What every page has of a member: the menu, and messages if there are any."""
    user: Any = request.user
    own = {
        "ink": str(user.ink),
        "initial": escape(user.initial),
        "name": escape(user.name),
        "profile": user.get_absolute_url(),
    }
    if user.unread_count:
        own |= {"unread": user.unread_label, "unread-words": user.unread_words}
    if messages := list(get_messages(request)):
        own["messages"] = render_to_string("ui/_messages.html", {"messages": messages})
    return own


@contextmanager
def _marking() -> Iterator[str]:
    secret = secrets.token_hex(8)
    token = _secret.set(secret)
    try:
        yield secret
    finally:
        _secret.reset(token)


def mark(name: str) -> str:
    """Return the mark ``name`` for the page that is being kept, ``""`` outside of that."""
    secret = _secret.get()
    return f"\x1e{secret}{name}\x1f" if secret else ""


def csrf_mark(request: HttpRequest) -> dict[str, Any]:
    """Context processor: the token, or its place while a page is being kept for all members.

    Instead of Django's, which draws chance 32 times, each a system call: 5 % of a vote.
    """
    if _secret.get():
        return {"csrf_token": mark(CSRF)}
    # lazy: a page that asks for it sets a cookie
    token = SimpleLazyObject(lambda: _csrf_token(request))
    return {"csrf_token": token}
