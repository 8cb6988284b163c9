"""Who may ask how often: one decorator over django-ratelimit, one client address.

The counters and their windows are django-ratelimit's; this module decides whom they count, asks
for those of a request at once, and counts in the process while Redis does not.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable
from functools import lru_cache, wraps
from threading import Lock
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django_ratelimit.core import (
    EXPIRATION_FUDGE,
    _get_window,
    _make_cache_key,
    _split_rate,
)
from django_ratelimit.exceptions import Ratelimited

from . import redis
from .limits import Limit
from .metrics import counting

ignored = logging.getLogger("core.redis.ignored")  # once a minute

View = Callable[..., HttpResponse]

UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104  a bucket for requests without an address, nothing binds to it


def client_address(request: HttpRequest) -> str:
    """Return the address of the reader, IPv6 by /64; never raises."""
    return _bucket(_written_address(request))


def socket_address(request: HttpRequest) -> str:
    """Return the whole address of whoever holds the connection, our proxy included; never raises."""
    return _bucket(request.META.get("REMOTE_ADDR", "").strip(), whole=True)


def _written_address(request: HttpRequest) -> str:
    """The address of the reader as it was written.

    With ``TRUSTED_PROXY_HOPS = n`` the n-th entry from the right of ``X-Forwarded-For`` is
    the one our outermost proxy wrote; whatever stands left of it came with the request
    and is not believed.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if hops := settings.TRUSTED_PROXY_HOPS:
        header = request.META.get("HTTP_X_FORWARDED_FOR", "")
        forwarded = [entry for entry in header.split(",") if entry.strip()]  # no proxy writes none
        if len(forwarded) >= hops:
            address = forwarded[-hops]
    return address.strip()


@lru_cache(maxsize=4096)  # whoever reads asks for several pages
def _bucket(address: str, *, whole: bool = False) -> str:
    if address.startswith("["):  # [2001:db8::1]:443
        address = address[1:].partition("]")[0]
    elif address.count(":") == 1:  # 192.0.2.1:443
        address = address.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return UNKNOWN_ADDRESS
    if parsed.version == 6:
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        if whole:
            return str(parsed)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)).network_address)
    return str(parsed)


def whose(request: HttpRequest, kind: str) -> str:
    """Whose counter a request moves: a member's own, or that of the address."""
    if kind == "user" and request.user.is_authenticated:
        return f"user:{request.user.pk}"
    return f"ip:{client_address(request)}"


class LimitExceeded(Ratelimited):
    """Somebody asked more often than ``settings.RATES`` allows; ``seconds`` until they may again."""

    def __init__(self, seconds: int):
        super().__init__()
        self.seconds = seconds


class _LocalCounts:
    """Fixed windows counted in this process, for as long as Redis does not count."""

    MOST = 10_000  # counters kept; beyond that the finished windows go, then all

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._lock = Lock()

    def forget(self) -> None:
        """Start anew, as a new process would."""
        with self._lock:
            self._counts.clear()

    def seconds_to_wait(self, group: str, rate: str, value: str) -> int:
        """Count once; 0, or the seconds until the window ends when ``rate`` is spent."""
        most, period = _split(rate)
        now = int(time.time())
        end = now - now % period + period
        with self._lock:
            if len(self._counts) >= self.MOST:
                self._counts = {k: v for k, v in self._counts.items() if k[2] > now}
                if len(self._counts) >= self.MOST:
                    self._counts.clear()
            key = (f"{group} {rate}", value, end)
            count = self._counts[key] = self._counts.get(key, 0) + 1
        return end - now if count > most else 0


local_counts = _LocalCounts()


def seconds_to_wait(request: HttpRequest, name: str, row: Limit) -> int:
    """Count ``request`` against both rates of ``row``, which ``settings.RATES`` calls ``name``.

    Returns 0, or the seconds until the one that is spent the longest is open again. One
    round trip to Redis; with Redis gone this process counts for itself.
    """
    if not settings.RATELIMIT_ENABLE or request.method not in _METHODS[row.method]:
        return 0
    value, longest, now = whose(request, row.key), 0, int(time.time())
    rates = {f"{name}.burst": row.burst, f"{name}.rate": row.rate}
    windows = [_window(group, rate, value, row.method) for group, rate in rates.items()]
    counters = {window.key: window.lifetime for window in windows}
    counts = redis.count(settings.RATELIMIT_USE_CACHE, counters)
    if counts is None:
        ignored.warning("limits are counted in process group=%s", name)
        return max(local_counts.seconds_to_wait(*each, value) for each in rates.items())
    for window, count in zip(windows, counts, strict=True):
        if count > window.most:
            longest = max(longest, window.end - now, 1)
    return longest


# HEAD costs what GET costs
_METHODS = {"GET": ["GET", "HEAD"], "POST": ["POST"]}


class _Window(NamedTuple):
    """One of django-ratelimit's counters: its name, and how much it may hold until when."""

    key: str
    most: int
    end: int  # Unix seconds
    lifetime: int  # seconds


def _window(group: str, rate: str, value: str, method: str) -> _Window:
    """The counter that ``django_ratelimit.core.get_usage`` would ask for, now.

    Both counters of a limit are asked in one round trip; ``get_usage`` takes two for each, and
    its own arithmetic is a third of what a kept list costs.
    """
    most, period = _split(rate)
    end = _get_window(value, period)
    return _Window(_key(group, end, rate, value, method), most, end, period + EXPIRATION_FUDGE)


@lru_cache(maxsize=8192)  # the same for all that one reader asks for in that window
def _key(group: str, end: int, rate: str, value: str, method: str) -> str:
    return _make_cache_key(group, end, _split(rate), value, _METHODS[method])


_split = lru_cache(_split_rate)


def limit(name: str) -> Callable[[View], View]:
    """Let a view be asked no oftener than ``settings.RATES[name]`` says.

    Raises ``LimitExceeded``, which ``core.middleware.RateLimitMiddleware`` answers with 429.
    A request that ``core.serving.PagesMiddleware`` counted already is not counted again.
    """

    row = settings.RATES[name]

    def decorate(view: View) -> View:
        @wraps(view)
        def limited(request: HttpRequest, *args, **kwargs) -> HttpResponse:
            seconds = getattr(request, "seconds_to_wait", None)
            if seconds is None:
                seconds = seconds_to_wait(request, name, row)
            if seconds:
                counting.count("limits_hit", name)
                raise LimitExceeded(seconds)
            return view(request, *args, **kwargs)

        limited.limit_name = name  # type: ignore[attr-defined]  # read by PagesMiddleware
        return limited

    return decorate
