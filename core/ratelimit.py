"""Who may ask how often: one table in settings, one decorator, one client address.

The counting is django-ratelimit's; this module decides whom it counts.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # settings.py imports this module: nothing here may import settings at the top
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    View = Callable[..., HttpResponse]

_RATE = re.compile(r"[0-9]+/([1-9][0-9]*)?[smhd]")
UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104  a bucket for requests without an address, nothing binds to it


class Limit(NamedTuple):
    """One row of ``settings.RATES``."""

    rate: str  # "200/h": the hourly allowance
    burst: str  # "60/m": what a minute may take of it
    key: str  # "ip", or "user" (the address, for somebody who is not logged in)
    method: str


def parse_limit(text: str, *, default: Limit) -> Limit:
    """Return ``default`` with its two rates replaced by ``text`` (``"120/h,20/m"``), if any.

    Raises ``ValueError`` on anything but two rates.
    """
    if not text:
        return default
    rates = [part.strip() for part in text.split(",")]
    if len(rates) != 2 or not all(_RATE.fullmatch(rate) for rate in rates):
        raise ValueError(f"not two rates like 120/h,20/m: {text}")
    return default._replace(rate=rates[0], burst=rates[1])


def client_address(request: HttpRequest) -> str:
    """Return the address of the reader, IPv6 by /64; never raises.

    With ``TRUSTED_PROXY_HOPS = n`` the n-th entry from the right of ``X-Forwarded-For`` is
    the one our outermost proxy wrote; whatever stands left of it came with the request
    and is not believed.
    """
    from django.conf import settings

    address = request.META.get("REMOTE_ADDR", "")
    if hops := settings.TRUSTED_PROXY_HOPS:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(forwarded) >= hops:
            address = forwarded[-hops]
    return _bucket(address.strip())


def _bucket(address: str) -> str:
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
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)).network_address)
    return str(parsed)


def _key(kind: str) -> Callable[[str, HttpRequest], str]:
    def key(group: str, request: HttpRequest) -> str:
        if kind == "user" and request.user.is_authenticated:
            return f"user:{request.user.pk}"
        return f"ip:{client_address(request)}"

    return key


def limit(name: str) -> Callable[[View], View]:
    """Count one request against both rates of ``settings.RATES[name]``.

    Raises ``Ratelimited``, which ``core.middleware.RateLimitMiddleware`` answers with 429.
    Two round trips to Redis a rate.
    """
    from django.conf import settings
    from django_ratelimit.decorators import ratelimit

    row = settings.RATES[name]

    def decorate(view: View) -> View:
        for period, rate in (("burst", row.burst), ("rate", row.rate)):
            view = ratelimit(
                group=f"{name}.{period}", key=_key(row.key), rate=rate, method=row.method
            )(view)
        return view

    return decorate
