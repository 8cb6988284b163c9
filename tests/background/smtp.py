"""A mail server that takes what it is sent, and may say no, go silent or pull a trigger."""

from __future__ import annotations

import contextlib
import email
import time
from collections.abc import Callable, Iterator
from email.message import Message
from email.policy import default

from aiosmtpd.controller import Controller

from tests.servers import free_port


class Sink:
    """What was handed over, in order. ``on_data`` runs before a mail is answered for."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.answers: list[str] = []  # the next answers; "250 OK" once they are used up
        self.on_data: Callable[[], None] = lambda: None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.answers and self.answers[0].startswith("RCPT "):
            return self.answers.pop(0).removeprefix("RCPT ")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        self.on_data()
        return self.answers.pop(0) if self.answers else "250 OK"

    def ids(self) -> list[str]:
        return [mail["Message-ID"] for mail in self.mails]

    def wait_for(self, number: int, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while len(self.mails) < number:
            assert time.monotonic() < until, f"{len(self.mails)} of {number} mails came"
            time.sleep(0.02)


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    """Yield a mail server on this machine; it is gone after."""
    found = Sink()
    controller = Controller(found, hostname="127.0.0.1", port=found.port)
    controller.start()
    try:
        yield found
    finally:
        controller.stop()
