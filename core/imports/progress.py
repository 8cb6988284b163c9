"""How far a long command is: a bar on a terminal, ten plain lines elsewhere."""

from __future__ import annotations

from django.core.management.base import OutputWrapper

_WIDTH = 40
_STEPS = 10


class Progress:
    """Shows ``done`` of ``total`` on ``stream``."""

    def __init__(self, stream: OutputWrapper, total: int, what: str):
        self._stream = stream
        self._total = total
        self._what = what
        self._done = 0
        self._is_terminal = stream.isatty()

    def advance(self, count: int) -> None:
        """Count ``count`` more and show it when that says something new."""
        before, self._done = self._done, min(self._done + count, self._total)
        if not count or not self._total:
            return
        if self._is_terminal:
            filled = _WIDTH * self._done // self._total
            bar = "#" * filled + "." * (_WIDTH - filled)
            end = "\n" if self._done == self._total else ""
            self._say(f"\r[{bar}] {self._done}/{self._total} {self._what}{end}")
        elif _STEPS * before // self._total < _STEPS * self._done // self._total:
            self._say(f"{self._done}/{self._total} {self._what}\n")

    def _say(self, text: str) -> None:
        self._stream.write(text, style_func=str, ending="")
        self._stream.flush()
