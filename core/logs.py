"""Log lines gathered for a tenth of a second and written together.

The standard handler formats and writes under one lock: with two threads in a worker that lock
was two thirds of what a kept page cost. Here a line costs its formatting; a thread writes
what has gathered. An error is written at once; a process that is killed takes at most the
last tenth of a second with it.
"""

from __future__ import annotations

import io
import logging
import os
import stat
import threading
import time
import weakref
from collections import deque
from typing import TextIO

GATHER_SECONDS = 0.1
PIECE_CHARS = 64_000
PIPE_CHARS = (
    1500  # and a line: what several processes write into one pipe stays whole up to 4,096 bytes
)


class GatheringHandler(logging.StreamHandler):
    """``logging.StreamHandler`` without its lock in the way of requests."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._lines: deque[str] = deque()
        self._timer: threading.Timer | None = None
        this = weakref.ref(self)
        # the child has the lines that the parent writes, and no thread that would write its own
        os.register_at_fork(after_in_child=lambda: _start_anew(this()))

    def handle(self, record: logging.LogRecord) -> bool:
        if not self.filter(record):
            return False
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record) + self.terminator)
        except Exception:  # noqa: BLE001  as every handler of the standard library does
            self.handleError(record)
            return
        if record.levelno >= logging.ERROR:
            self.flush()
        elif self._timer is None:
            self._start_timer()

    def _start_timer(self) -> None:
        # two threads may both start one: the second finds little to write
        self._timer = threading.Timer(GATHER_SECONDS, self.flush)
        self._timer.daemon = True
        self._timer.start()

    def flush(self) -> None:
        """Write what has gathered, in pieces of whole lines."""
        self.acquire()
        try:
            most = PIPE_CHARS if self._is_pipe() else PIECE_CHARS
            while self._lines:
                piece, length = [self._lines.popleft()], 0
                while self._lines and (length := length + len(piece[-1])) < most:
                    piece.append(self._lines.popleft())
                self.stream.write("".join(piece))
                self.stream.flush()
        except (OSError, ValueError):  # nobody reads any more, or the stream is closed
            self._lines.clear()
        finally:
            self._timer = None  # not before: a timer that waits for a slow stream is enough
            self.release()
        if self._lines:  # whoever logged them saw the timer that has just ended
            self._start_timer()

    def _is_pipe(self) -> bool:
        """Whether other processes may write between our writes; one that is no file may not."""
        try:
            return not stat.S_ISREG(os.fstat(self.stream.fileno()).st_mode)
        except io.UnsupportedOperation:
            return False


def _start_anew(handler: GatheringHandler | None) -> None:
    if handler is not None:
        handler._lines.clear()
        handler._timer = None


class LineFormatter(logging.Formatter):
    """``logging.Formatter`` that writes out each second's date and time once."""

    _second, _text = 0, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second = int(record.created)
        if second != self._second:
            text = time.strftime(datefmt or self.default_time_format, self.converter(second))
            self._text, self._second = text, second
        return f"{self._text},{record.msecs:03.0f}"
