"""Sessions answered from Redis and written through to Postgres."""

from __future__ import annotations

import re

from django.contrib.sessions.backends import cached_db
from django.utils import timezone

from .statements import OneRow

CACHED_SECONDS = 60
_KEY = re.compile(r"[a-z0-9]{32}\Z")  # what get_random_string(32) makes


class _ShortLived:
    """A cache whose entries live at most ``CACHED_SECONDS``.

    ``cached_db`` passes the cookie's age to the cache, so the alias' own TIMEOUT does
    nothing; a logout that Redis missed must be dead within a minute.
    """

    def __init__(self, cache):
        self._cache = cache
        self.get, self.delete = cache.get, cache.delete

    def set(self, key, value, timeout):
        self._cache.delete(key)  # first: a full server still forgets, and takes nothing newer
        self._cache.set(key, value, min(timeout, CACHED_SECONDS))

    def __contains__(self, key):
        return key in self._cache


class SessionStore(cached_db.SessionStore):
    """``cached_db`` with a short cached copy and no odd keys."""

    cache_key_prefix = "session:"

    def __init__(self, session_key=None):
        super().__init__(session_key)
        self._cache = _ShortLived(self._cache)

    def _validate_session_key(self, key):
        # A NUL byte in the cookie would reach Postgres, which refuses it with an error.
        return bool(key) and bool(_KEY.match(key))

    def _get_session_from_db(self):
        """Django's own by a statement written once: the copy lives a minute, a page is read for longer."""
        session = _LIVE.first(self.session_key, timezone.now())
        if session is None:
            self._session_key = None
        return session

    @classmethod
    def get_model_class(cls):
        from django.contrib.sessions.models import Session

        return Session


def _live(key, now):
    sessions = SessionStore.get_model_class().objects
    return sessions.filter(session_key=key).filter(expire_date__gt=now)


_LIVE = OneRow(_live, "", timezone.now())
