"""Run wrk with ``lua/load.lua`` and read what it says.

wrk 4.1 starts its clock after the ``delay``, so thinking is not counted as waiting (seen: 50 ms
for a view that sleeps 50 ms, with readers who think a second). It never says that a connection
was not served at all: who asks for thousands has to count the answers.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

LUA = Path(__file__).parent / "lua" / "load.lua"
MARK = "BENCH "
ADDRESSES = 100_000  # of 10.0.0.0/8 for each run: four threads of 25,000
WRITES = 1_000_003  # numbers of writes for each run; a prime, so that no two begin alike
TIMEOUT_SECONDS = 10


class NotMeasured(Exception):
    """Why a row has no figures; ends the row and not the run."""


@dataclass(frozen=True)
class Load:
    """What came back: times in milliseconds, bytes as they went over the wire."""

    requests: int
    seconds: float
    bytes: int
    p50: float
    p95: float
    p99: float
    longest: float
    errors: dict[str, int]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def size(self) -> float:
        """Bytes an answer, its headers included."""
        return self.bytes / self.requests if self.requests else 0.0


def parse(said: str) -> Load:
    """Read the line that ``done`` in load.lua writes; raises ``NotMeasured`` without one."""
    for line in reversed(said.splitlines()):
        if line.startswith(MARK):
            return Load(**json.loads(line.removeprefix(MARK)))
    raise NotMeasured(f"wrk said “{' '.join(said.split())[-300:]}”")


class Wrk:
    """The generator over the files of ``folder``; no two runs share an address or a write."""

    def __init__(self, folder: Path, program: str | None = None):
        self.folder = folder
        self.program = shutil.which("wrk") if program is None else program
        self.runs = 0

    def words(
        self,
        url: str,
        *,
        mode: str = "read",
        seconds: float,
        connections: int = 32,
        threads: int = 1,
        think: str = "",
        few: int = 0,
        **files: str,
    ) -> list[str]:
        """The command line of the next run; ``files`` are names in the folder, or ""."""
        self.runs += 1
        names = {"paths": "", "members": "", "posts": "", "topics": "", **files}
        given: dict[str, object] = {
            name: str(self.folder / file) if file else "" for name, file in names.items()
        }
        given |= {"mode": mode, "threads": threads, "think": think, "few": few}
        given |= {"first": self.runs * WRITES, "run": self.runs, "address": self.runs * ADDRESSES}
        return [
            self.program or "wrk",
            f"-t{threads}",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            f"--timeout={TIMEOUT_SECONDS}s",
            f"-s{LUA}",
            url,
            "--",
            *(f"{name}={value}" for name, value in given.items()),
        ]

    def __call__(self, url: str, **options) -> Load:
        """Run once; the options are those of ``words``. Raises ``NotMeasured``."""
        if not self.program:
            raise NotMeasured("wrk is not installed (Debian: apt install wrk)")
        words = self.words(url, **options)
        wait = options["seconds"] + 60
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=wait)
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"wrk did not end within {wait:.0f} s") from None
        return parse(done.stdout + done.stderr)
