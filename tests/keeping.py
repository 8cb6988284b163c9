"""What tests of kept pages share: other processes, later moments, and what pages differ in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import redis
from django.conf import settings
from django.core.cache import caches
from django.urls import URLPattern, get_resolver

from core import cache, near_copies
from core import redis as core_redis
from core.pages import PublicPage

# The kinds of pages that are kept, by the name of their view. Names in braces are those of tests.world.World.
KEPT = {
    "core:home": ["/"],
    "core:book_list": ["/livros/", "/livros/?categoria={category}&lingua=pt&ordem=titulo"],
    "core:book_detail": ["/livros/{book}/", "/livros/{book}/?pagina=2"],
    "core:author_detail": ["/autores/{author}/"],
    "core:category_detail": ["/categorias/{category}/"],
    "debates:debates_list": ["/debates/", "/debates/?pagina=2", "/debates/?livro={book}"],
    "debates:topic_detail": [
        "/debates/topico/{topic}/",
        "/debates/topico/{topic}/?pagina=2",
    ],
}

_BESIDE = re.compile(r":(generation|rebuild):")
_TOKEN = re.compile(r"(?<=[\"'])[A-Za-z0-9]{64}(?=[\"'])")


def kept_views() -> dict[str, PublicPage]:
    """All views whose pages are kept, by name, found in the URLconf."""

    def walk(patterns, namespace="") -> Iterator[tuple[str, PublicPage]]:
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                if hasattr(pattern.callback, "public_page"):
                    yield f"{namespace}{pattern.name}", pattern.callback.public_page
            else:
                inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
                yield from walk(pattern.url_patterns, inner)

    return dict(walk(get_resolver().url_patterns))


def without_token(html: str) -> str:
    """``html`` with every CSRF token masked: each answer spells it anew."""
    return _TOKEN.sub("TOKEN", html)


def token_of(html: str) -> str:
    return _TOKEN.search(html)[0]


def forget_everything() -> None:
    """Nothing is kept anywhere, and this process knows nothing."""
    for alias in ("default", "pages"):
        caches[alias].clear()
    cache.forget()


@contextmanager
def another_process() -> Iterator[None]:
    """Within it the cache is that of a second process, which began before this one wrote."""
    settled = cache._Debt()
    settled._paid = settled._owed
    with (
        mock.patch.object(cache, "_near", near_copies.NearCopies()),
        mock.patch.object(cache, "_debt", settled),
    ):
        yield


@contextmanager
def two_seconds_later() -> Iterator[None]:
    """Within it no near copy is young enough, and nobody still holds a rebuild."""
    with ExitStack() as stack:
        for name in ("SECONDS", "WAIT_SECONDS"):
            stack.enter_context(mock.patch.object(near_copies, name, -1.0))
        release_claims()
        yield


def release_claims() -> None:
    """Nobody rebuilds any more, and those who were shown a stale copy meanwhile ask again."""
    for entry in cache._near._entries.values():
        if entry.is_waiting:
            entry.checked -= near_copies.WAIT_SECONDS
    server = redis.Redis.from_url(settings.REDIS_URL)
    for name in server.scan_iter(match=f"{settings.CACHE_KEY_PREFIX}*rebuild:*"):
        server.delete(name)
    server.close()


@contextmanager
def round_trips() -> Iterator[list[str]]:
    """The addresses of the servers that Redis was asked at, one for each round trip."""
    seen: list[str] = []
    call = core_redis.Breaker.call

    def counted(breaker, work, *args, **kwargs):
        seen.append(breaker.address)
        return call(breaker, work, *args, **kwargs)

    with mock.patch.object(core_redis.Breaker, "call", counted):
        yield seen


def entries() -> dict[str, bytes]:
    """The pages and data that this run keeps, by key."""
    return {key: value for key, value in in_redis().items() if not _BESIDE.search(key)}


def in_redis() -> dict[str, bytes]:
    """The same with the tokens of their scopes and the claims of who rebuilds."""
    server = redis.Redis.from_url(settings.REDIS_URL)
    prefixes = [settings.CACHES[alias]["KEY_PREFIX"] for alias in ("default", "pages")]
    found = {
        name.decode(): server.get(name)
        for prefix in prefixes
        for name in server.scan_iter(match=f"{prefix}:*")
    }
    server.close()
    return found
