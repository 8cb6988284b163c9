"""A mail server that keeps what it is handed and sends nothing on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from threading import Lock

from aiosmtpd.controller import Controller

from core.embedded.processes import free_port

ANSWER_SECONDS = 0.3  # as a real one takes: time in which its client may be killed


@dataclass(frozen=True)
class Mail:
    """One delivery; ``at`` is a monotonic second."""

    to: str
    subject: str
    message_id: str
    at: float


class Sink:
    """Listens on a free port of 127.0.0.1 between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self._mails: list[Mail] = []
        self._lock = Lock()
        port = free_port()
        self.url = f"smtp://127.0.0.1:{port}"  # for EMAIL_URL
        self._server = Controller(self, hostname="127.0.0.1", port=port)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    async def handle_DATA(self, server, session, envelope) -> str:
        message = message_from_bytes(envelope.content)
        subject = str(make_header(decode_header(message["Subject"] or "")))
        with self._lock:
            self._mails += [
                Mail(to, subject, message["Message-ID"] or "", time.monotonic())
                for to in envelope.rcpt_tos
            ]
        await asyncio.sleep(ANSWER_SECONDS)
        return "250 kept"

    def mails(self) -> list[Mail]:
        with self._lock:
            return list(self._mails)
