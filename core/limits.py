"""A row of ``settings.RATES``, and how the environment writes one. Imports nothing of Django."""

from __future__ import annotations

import re
from typing import NamedTuple

_RATE = re.compile(r"[0-9]+/([1-9][0-9]*)?[smhd]")


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
