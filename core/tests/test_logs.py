"""core.logs: lines are gathered, kept whole and in order, and written even if nobody asks again."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time

from django.test import SimpleTestCase

from core.logs import GATHER_SECONDS, PIPE_CHARS, GatheringHandler, LineFormatter


class Pieces(io.StringIO):
    """A stream that remembers what was written at once."""

    def __init__(self):
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text):
        self.pieces.append(text)
        return super().write(text)


class GatheringTests(SimpleTestCase):
    def setUp(self):
        self.stream = Pieces()
        self.handler = GatheringHandler(self.stream)
        self.logger = logging.getLogger(f"{__name__}.{self.id()}")
        self.logger.propagate = False
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self.handler)

    def wait(self):
        deadline = time.monotonic() + 5
        while self.handler._lines or self.handler._timer:
            assert time.monotonic() < deadline, "nobody writes"
            time.sleep(0.01)

    def test_a_line_is_written_soon_and_by_itself(self):
        self.logger.info("olá %s", "mundo")
        assert self.stream.getvalue() == ""
        self.wait()
        assert self.stream.getvalue() == "olá mundo\n"
        self.logger.info("outra vez")
        self.wait()
        assert self.stream.getvalue() == "olá mundo\noutra vez\n"

    def test_an_error_does_not_wait_and_comes_after_what_was_before_it(self):
        self.logger.info("antes")
        self.logger.error("erro")
        assert self.stream.getvalue() == "antes\nerro\n"

    def test_pieces_are_whole_lines_small_enough_to_stay_whole_in_a_pipe(self):
        self.handler._is_pipe = lambda: True
        for number in range(500):
            self.logger.info("%d %s", number, "ã" * 90)
        self.logger.info("x" * 3 * PIPE_CHARS)
        self.handler.flush()
        assert len(self.stream.pieces) < 100
        for piece in self.stream.pieces[:-1]:
            assert piece.endswith("\n")
            assert len(piece.encode()) <= 4096
        numbers = [line.partition(" ")[0] for line in self.stream.getvalue().splitlines()[:-1]]
        assert numbers == [str(number) for number in range(500)]

    def test_what_is_no_pipe_gets_it_in_one_piece(self):
        for number in range(500):
            self.logger.info("%d", number)
        self.handler.flush()
        assert len(self.stream.pieces) == 1

    def test_a_slow_stream_gathers_no_threads(self):
        write, before = self.stream.write, threading.active_count()
        self.stream.write = lambda text: (time.sleep(GATHER_SECONDS * 3), write(text))[1]
        for number in range(8):
            self.logger.info("%d", number)
            time.sleep(GATHER_SECONDS / 2)
            assert threading.active_count() <= before + 1
        self.wait()
        assert len(self.stream.getvalue().splitlines()) == 8

    def test_threads_lose_no_line(self):
        def log(name):
            for number in range(200):
                self.logger.info("%s-%d", name, number)

        threads = [threading.Thread(target=log, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.wait()
        self.handler.flush()
        assert len(set(self.stream.getvalue().splitlines())) == 800

    def test_a_filter_still_filters_and_a_wrong_line_is_no_fault_of_the_request(self):
        self.handler.addFilter(lambda record: "secret" not in record.msg)
        self.logger.info("secret")
        old, sys.stderr = sys.stderr, io.StringIO()
        try:
            self.logger.info("%d", "no number")
        finally:
            sys.stderr = old
        self.handler.flush()
        assert self.stream.getvalue() == ""

    def test_a_closed_stream_is_nobodys_error(self):
        self.stream.close()
        self.logger.error("ninguém lê")

    def test_a_child_process_writes_its_own_lines_only(self):
        self.logger.info("do pai")
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            self.handler.setStream(os.fdopen(theirs, "w"))
            self.logger.info("do filho")
            time.sleep(GATHER_SECONDS * 5)
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as pipe:
            assert pipe.read() == "do filho\n"
        os.waitpid(child, 0)
        self.wait()
        assert self.stream.getvalue() == "do pai\n"


class FormatterTests(SimpleTestCase):
    def test_it_says_what_the_standard_one_says(self):
        ours, theirs = (
            LineFormatter("{asctime}", style="{"),
            logging.Formatter("{asctime}", style="{"),
        )
        record = logging.LogRecord("n", logging.INFO, "p", 1, "m", (), None)
        for created in (1_800_000_000.25, 1_800_000_000.75, 1_800_000_001.5, 1_800_000_000.5):
            record.created, record.msecs = created, created % 1 * 1000
            assert ours.format(record) == theirs.format(record)
