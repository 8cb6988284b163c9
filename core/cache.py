"""What is the same for everyone, kept in Redis. Apps name their keys in <app>/cache.py.

A key never changes; the value carries the generations it was built under, one random token
a scope. One round trip fetches the value and the tokens of today: equal is fresh, different
or too old is stale. One reader rebuilds what is stale, the others are shown the stale copy.
The tokens stored are those read *before* building, so a reader who began before a write
and stores after it is recognised as stale. Beside Redis each process keeps what it showed
last, believes it for one second without asking, and after that asks for its tokens alone.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import transaction

from . import redis
from .database import DATABASE_GONE
from .metrics import counting
from .near_copies import Entry, NearCopies

EVERYTHING = "everything"  # the scope of every entry
KEPT_SECONDS = 24 * 3600  # what Postgres' absence is bridged with
TOKEN_SECONDS = 2 * KEPT_SECONDS  # a token outlives every entry built under it
# A new token lives so long until something is kept under it: addresses of nothing leave nothing.
TRIED_SECONDS = 60
REBUILD_SECONDS = 1.0  # how long the others leave a rebuild to one reader
JITTER = 0.1  # so that what was built together does not age together


@dataclass(frozen=True)
class Room:
    """One alias, and how its values become bytes: ``dump`` and ``load`` take header and value."""

    alias: str
    dump: Callable[[dict[str, Any], Any], bytes]
    load: Callable[[bytes], tuple[dict[str, Any], Any]]

    def key(self, name: str) -> str:
        return str(caches[self.alias].make_key(name))  # the alias' own prefix


def _dump_plain(header: dict[str, Any], value: Any) -> bytes:
    return json.dumps({**header, "value": value}, separators=(",", ":")).encode()


def _load_plain(data: bytes) -> tuple[dict[str, Any], Any]:
    header = json.loads(data)
    return header, header.pop("value")


PLAIN = Room("default", _dump_plain, _load_plain)


@dataclass(slots=True)
class Look:
    """What a reader found under a key."""

    names: Sequence[str]  # its scopes
    entry: Entry | None
    asked: float = 0.0  # monotonic second before Redis was asked
    is_fresh: bool = False  # or stale and waited for: to be shown as it is
    # what a new value would be built under; None while Redis is no use, which stores nothing
    tokens: dict[str, str | None] | None = None


# --- reading -----------------------------------------------------------------------


def remember(key: str, scopes: Sequence[str], build: Callable[[], Any]) -> Any:
    """Return the value under ``key``: fresh, or a stale copy while one reader rebuilds.

    ``build`` returns plain data (what JSON holds, string keys) that is true for everyone. The
    value is shared between readers: nobody changes it. One round trip to Redis when warm, none
    within a second of the last; two more and ``build`` when stale. A ``build`` that Postgres
    fails is answered by the stale copy if there is one of the last 24 hours; not ``insisting``.
    """
    if not settings.PAGE_CACHE:
        return build()
    found = look(PLAIN, key, scopes)
    is_ours = not found.is_fresh and claim(PLAIN, key, found)
    if found.entry is not None and not is_ours:
        return found.entry.value
    try:
        value = build()
    except DATABASE_GONE:
        if found.entry is None or _insists.get():
            raise
        return found.entry.value
    return keep(PLAIN, key, found, value).value


def near(room: Room, key: str) -> Entry | None:
    """Return what this process checked within the last second, if nothing is known against it.

    Or within a quarter of a second, if it was stale then and another reader rebuilt it.
    """
    entry = None if _insists.get() else _near.believed((room.alias, key))
    if entry is None:
        return None
    counting.count("cache_reads", *entry.label, "stale" if entry.is_waiting else "near")
    return entry


def look(room: Room, key: str, scopes: Sequence[str]) -> Look:
    """Find what is under ``key``. Round trips: none for what was checked just now; one; two when what
    this process showed last may be today's and is not.
    """
    last = near(room, key)
    if last is not None:
        return Look((), last, is_fresh=True)
    last, label = _near.get((room.alias, key)), _label(room, scopes)
    names = [EVERYTHING, *scopes]
    keys = [room.key(key), *(_token_key(name) for name in names)]
    asked, is_answering = time.monotonic(), True
    if last is not None and _near.may_be_todays(last):
        # if this page is today's, its 40 KB need not be sent and read again
        tokens = _ask_tokens(keys)
        is_answering = tokens is not None
        if tokens and _is_todays(last, now := _by_name(names, tokens)):
            counting.count("cache_reads", *label, "fresh")
            _near.confirm((room.alias, key), last, asked)
            return Look(names, last, asked, is_fresh=True, tokens=now)
    found = _ask(keys) if is_answering else None  # who did not answer is not asked again
    if found is None:
        counting.count("cache_reads", *label, "unreachable")
        return Look(names, last, asked)
    data, now = found[0], _by_name(names, found[1:])
    if data is None:
        counting.count("cache_reads", *label, "missing")
        return Look(names, None, asked, tokens=now)
    try:
        header, value = room.load(data)
        entry = Entry(value, **header)
        entry.label, entry.checked, entry.size = label, asked, len(data)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError):
        # another release's, or somebody else's: nothing is kept there
        counting.count("cache_reads", *label, "missing")
        return Look(names, None, asked, tokens=now)
    if not _is_todays(entry, now):
        counting.count("cache_reads", *label, "stale")
        return Look(names, entry, asked, tokens=now)
    counting.count("cache_reads", *label, "fresh")
    _near.put((room.alias, key), entry)
    return Look(names, entry, asked, is_fresh=True, tokens=now)


def _ask(keys: Sequence[str]) -> list[Any] | None:
    """Value and tokens, as Redis has them; ``None`` while it is no use, or not told of a write."""
    if not _debt.is_paid():
        return None
    return redis.attempt("default", lambda client: client.mget(keys), None)


# The value is touched, or a server that evicts what nobody asks for would take the hottest first.
_TOUCH = """
if redis.call('TOUCH', KEYS[1]) == 0 then return {} end
return redis.call('MGET', unpack(KEYS, 2))
"""


def _ask_tokens(keys: Sequence[str]) -> list[Any] | None:
    """The tokens alone, none of them if the value is gone; ``None`` as above."""
    if not _debt.is_paid():
        return None
    return redis.attempt("default", lambda client: client.eval(_TOUCH, len(keys), *keys), None)


def _by_name(names: Sequence[str], found: Sequence[bytes | None]) -> dict[str, str | None]:
    return {
        name: None if token is None else token.decode()
        for name, token in zip(names, found, strict=True)
    }


def _is_todays(entry: Entry, now: dict[str, str | None]) -> bool:
    """Whether ``entry`` was built under the tokens of ``now`` and is not too old."""
    return entry.tokens == now and time.time() <= entry.until and _insists.get() != EVERY_BUILD


def _label(room: Room, scopes: Sequence[str]) -> tuple[str, str]:
    """Room and first scope without what makes it one of many: ``debates.topic`` of each debate."""
    first = scopes[0] if scopes else EVERYTHING
    return room.alias, ".".join(first.split(".", 2)[:2])


def claim(room: Room, key: str, found: Look) -> bool:
    """Whether this reader is the one to rebuild; always, for somebody who wrote just now.

    One round trip, which also makes the tokens that are missing.
    """
    tokens = found.tokens
    if tokens is None:
        return True
    missing = [name for name, token in tokens.items() if token is None]

    def ask(client) -> list:
        with client.pipeline(transaction=False) as pipe:
            pipe.set(room.key(f"rebuild:{key}"), 1, nx=True, px=int(REBUILD_SECONDS * 1000))
            for name in missing:
                pipe.set(_token_key(name), _token(), nx=True, ex=TRIED_SECONDS)
                pipe.get(_token_key(name))
            return pipe.execute()

    answers = redis.attempt("default", ask, None)
    if answers is None:
        found.tokens = None
        return True
    tokens.update(zip(missing, (token.decode() for token in answers[2::2]), strict=True))
    if answers[0] or found.entry is None or _insists.get():
        return True
    _near.wait((room.alias, key), found.entry)
    return False


def keep(room: Room, key: str, found: Look, value: Any) -> Entry:
    """Store ``value`` under the tokens that were read before it was built; one round trip."""
    now = time.time()
    lifetime = settings.REDIS_CACHE_TIMEOUT * random.uniform(1 - JITTER, 1)  # noqa: S311  no secret
    tokens = {name: (found.tokens or {}).get(name) or "" for name in found.names}
    entry = Entry(value, tokens, built=now, until=now + lifetime, checked=found.asked)
    entry.label = _label(room, found.names[1:])
    data = room.dump({"tokens": tokens, "built": entry.built, "until": entry.until}, value)
    entry.size = len(data)
    if found.tokens is not None:

        def store(client) -> None:
            with client.pipeline(transaction=False) as pipe:
                pipe.set(room.key(key), data, ex=KEPT_SECONDS)
                for name in tokens:
                    pipe.expire(_token_key(name), TOKEN_SECONDS)
                pipe.execute()

        redis.attempt("default", store, None)
    _near.put((room.alias, key), entry)
    return entry


def drop(room: Room, key: str) -> None:
    """Keep nothing under ``key``: what stood there is gone, and nobody is shown a stale copy.

    But by who has one in hand: another process for a second, a thread that waits for a quarter of one.
    """
    _near.drop((room.alias, key))
    redis.attempt("default", lambda client: client.unlink(room.key(key)), None)


# --- writing -----------------------------------------------------------------------


def bump(*scopes: str) -> None:
    """Make everything built from ``scopes`` stale once this transaction commits.

    One round trip then. It never turns a saved reply into an error: what Redis could not
    be told is owed, and paid by making everything stale before this process reads it again.
    """

    def tell() -> None:  # not a partial: Django reports what fails here by its __qualname__
        _bump_now(scopes)

    transaction.on_commit(tell, robust=True)


def _bump_now(scopes: Sequence[str]) -> None:
    _near.bumped(scopes)
    if _debt.is_paid() and redis.attempt("default", partial(_set_tokens, scopes), False):
        _near.bumped(scopes)  # for who asked after the first, and before Redis knew
        return
    _debt.owe()
    redis.distrust("default", "a bump was missed")  # so that it is paid though nobody reads here


def _set_tokens(scopes: Sequence[str], client) -> bool:
    with client.pipeline(transaction=False) as pipe:
        for scope in scopes:
            pipe.set(_token_key(scope), _token(), ex=TOKEN_SECONDS)
        pipe.execute()
    return True


def retire_derived() -> None:
    """Drop every derived entry of this site; sessions, counters and queued tasks live elsewhere.

    The tokens go with them, so that every page is stale; it stays to be shown while it is
    rebuilt, or while Postgres is gone.
    """
    _near.bumped([EVERYTHING])
    _debt.owe()  # should Redis not hear of it now
    caches["default"].clear()


class _Debt:
    """Whether this process owes Redis a bump.

    A process that has just begun owes one: it does not know what the one before it could
    not tell, and its templates may be newer than the pages.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owed, self._paid = 1, 0  # how often; a bump owed while one pays is not paid with it

    def owe(self) -> None:
        with self._lock:
            self._owed += 1

    def is_owed(self) -> bool:
        return self._paid != self._owed

    def is_paid(self) -> bool:
        """Pay what is owed; ``False`` if Redis does not take it."""
        owed = self._owed
        if self._paid != owed:
            if not redis.attempt("default", partial(_set_tokens, [EVERYTHING]), False):
                return False
            self._paid = owed
        return not self.is_owed()

    def pay_before_return(self) -> None:
        """Redis is back, perhaps with what it knew before: nobody trusts that."""
        owed = self._owed
        _set_tokens([EVERYTHING], redis.unguarded("default"))
        self._paid = owed


_debt = _Debt()
redis.before_return("default", _debt.pay_before_return)


def owes() -> bool:
    """Whether a write of this process is not known to the others yet."""
    return _debt.is_owed()


def _token() -> str:
    return secrets.token_urlsafe(9)


def _token_key(scope: str) -> str:
    return PLAIN.key(f"generation:{scope}")


# --- near copies -------------------------------------------------------------------

NO_STALE, EVERY_BUILD = "no stale copy", "build everything"
_insists: ContextVar[str] = ContextVar("insists", default="")


@contextmanager
def insisting(on: str) -> Iterator[None]:
    """Within it no near and no stale copy is shown, or with ``EVERY_BUILD`` no copy at all.

    For a reader who wrote just now: nothing from before, from whatever process. And for a page
    that is being kept: what it is made of may not be older than the tokens it is kept under.
    """
    token = _insists.set(_insists.get() if _insists.get() == EVERY_BUILD else on)
    try:
        yield
    finally:
        _insists.reset(token)


_near = NearCopies()


def forget() -> None:
    """Know nothing, as a new process does."""
    _near.clear()
    _debt.owe()


def _forget_in_child() -> None:
    """The same after a fork, where a lock may be held by a thread that is not there."""
    global _near
    _near = NearCopies()
    _debt._lock = threading.Lock()
    forget()


os.register_at_fork(after_in_child=_forget_in_child)
