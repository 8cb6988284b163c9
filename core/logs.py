"""Log lines gathered for a tenth of a second and written together.

The standard handler formats and writes under one lock: with two threads in a worker that lock
was two thirds of what a kept page cost. Here a line costs its formatting; a thread writes
what has gathered. An error is written at once; a process that is killed takes at most the
last tenth of a second with it. Names, addresses and what people type stay out of every line.
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
from json.encoder import encode_basestring_ascii as quoted
from multiprocessing import util
from typing import Any, TextIO

from .embedded.errors import SetUpMissing
from .scrubbing import traceback_of, without_mails
from .work import request_id, work

GATHER_SECONDS = 0.1
PIECE_CHARS = 64_000
WITHOUT_FIELDS = {"core.requests"}  # its message says them
PIPE_CHARS = (
    1500  # and a line: what several processes write into one pipe stays whole up to 4,096 bytes
)


class GatheringHandler(logging.StreamHandler):
    """``logging.StreamHandler`` without its lock in the way of requests."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._lines: deque[str] = deque()
        self._timer: threading.Timer | None = None
        _handlers.add(self)
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


def flush_all() -> None:
    """Write what has gathered anywhere: this process ends."""
    for handler in list(_handlers):
        handler.flush()


_handlers: weakref.WeakSet[GatheringHandler] = weakref.WeakSet()
# granian's workers end through multiprocessing, without logging's own atexit. The last of those
# that end with it: the others may have something to say. Celery's children: core.task_signals
util.Finalize(None, flush_all, exitpriority=0)


class LineFormatter(logging.Formatter):
    """``logging.Formatter`` that writes out each second's date and time once, and no values."""

    _second, _text = 0, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second = int(record.created)
        if second != self._second:
            text = time.strftime(datefmt or self.default_time_format, self.converter(second))
            self._text, self._second = text, second
        return f"{self._text},{record.msecs:03.0f}"

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another formatter's, with everything in it
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        line = super().formatMessage(record)
        if fields and record.name not in WITHOUT_FIELDS:
            line += "".join(f" {name}={value}" for name, value in fields.items())
        return without_mails(line)

    def formatException(self, ei: Any) -> str:
        return traceback_of(ei[1]) if ei[1] is not None else ""


class JsonFormatter(logging.Formatter):
    """One object a line: what somebody searches for is a field.

    ``fields`` of a record are written as they are; what the thread works at and the name of the
    request are in every line.
    """

    _second, _text = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._text, self._second = text, second
        line = (
            f'{{"time":"{self._text}.{record.msecs:03.0f}Z","level":"{record.levelname}",'
            f'"logger":{quoted(record.name)},"message":{quoted(without_mails(record.getMessage()))},'
            f'"request_id":"{request_id.get()}"'
        )
        fields = getattr(record, "fields", None) or {}
        if work.task:
            line += f',"task":{quoted(work.task)},"task_id":{quoted(work.task_id)}'
        elif "view" not in fields and (view := work.view):
            line += f',"view":{quoted(view)}'
        for name, value in fields.items():
            line += f',"{name}":{quoted(value) if isinstance(value, str) else value}'
        if record.exc_info and record.exc_info[1] is not None:
            line += f',"error":{quoted(traceback_of(record.exc_info[1]))}'
        return line + "}"


def configuration(style: str, level: str) -> dict[str, Any]:
    """Return the site's ``LOGGING``: one handler, lines in ``style`` (``json`` or ``line``)."""
    if style not in {"json", "line"}:
        raise SetUpMissing("LOG_FORMAT is json or line.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "core.logs.LineFormatter",
                "format": "{asctime} {levelname} {name} {request_id} {message}",
                "style": "{",
            },
            "json": {"()": "core.logs.JsonFormatter"},
        },
        "handlers": {
            "console": {
                "class": "core.logs.GatheringHandler",
                "formatter": style,
                "filters": ["request_id"],
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "filters": {
            "once_a_minute": {"()": "core.redis.OnceAMinute"},
            "request_id": {"()": "core.requests.AddRequestId"},
        },
        "loggers": {
            "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
            "core.redis.ignored": {"filters": ["once_a_minute"]},
        },
    }
