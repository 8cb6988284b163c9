"""What of an error may be written down: where it happened and of what kind, not whose.

The text of an exception often repeats what somebody typed, and Postgres' repeats rows.
"""

from __future__ import annotations

import re
import traceback

_MAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_QUOTED = re.compile(r"""'[^']*(?:'|$)|"[^"]*(?:"|$)|«[^»]*»""")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
HIDDEN_MAIL = "<e-mail>"
HIDDEN = "'…'"


def without_mails(text: str) -> str:
    """Return ``text`` with every e-mail address replaced."""
    return _MAIL.sub(HIDDEN_MAIL, text) if "@" in text else text


def without_values(text: str) -> str:
    """Return the first line of ``text`` without what stands in quotes, where values are."""
    return without_mails(_QUOTED.sub(HIDDEN, text.partition("\n")[0]))


def without_literals(sql: object) -> str:
    """Return a statement without what stands in it as a value; parameters are not in it anyway."""
    return _LITERAL.sub(HIDDEN, sql) if isinstance(sql, str) else type(sql).__name__


def said_of(error: BaseException) -> str:
    """One line about ``error``: its class, its text without values, the constraint it broke."""
    name = type(error).__qualname__
    server = getattr(error, "diag", None) or getattr(error.__cause__, "diag", None)
    if server is None or not server.message_primary:
        text = without_values(str(error))
        return f"{name}: {text}" if text else name
    about = f" constraint={server.constraint_name}" if server.constraint_name else ""
    return f"{name}: {server.sqlstate} {without_values(server.message_primary)}{about}"


def traceback_of(error: BaseException) -> str:
    """What the interpreter prints of ``error`` and what led to it, each by ``said_of``."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        stack = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{stack}{said_of(current)}")
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)
    return "\n\nwhich came of\n\n".join(parts[:1] + parts[1:][:4])
