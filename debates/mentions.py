"""Who is called by name in a text: ``@username``."""

from __future__ import annotations

import re

from accounts.models.user import USERNAME_PATTERN
from core.markdown import plain_runs

MOST = 10  # names a text; more is shouting
# Not the right side of an e-mail address, nor a part of a path, nor escaped.
_NAME = re.compile(rf"(?<![\w@./\\-])@({USERNAME_PATTERN})")


def mentioned(text: str) -> list[str]:
    """Return the names in lower case, in their order, each once: at most ``MOST``.

    Names in code, in a link or in a quotation call nobody, nor does ``\\@name``.
    """
    if "@" not in text:
        return []
    found: dict[str, None] = {}
    for run in plain_runs(text):
        found.update((name.lower(), None) for name in _NAME.findall(run))
    return list(found)[:MOST]
