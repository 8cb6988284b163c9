"""Commands of the site that a stage runs before its play: of the benchmarks and of the drill."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAST_WORDS = 1_500  # characters


def run(
    what: str,
    words: Sequence[str],
    env: dict[str, str],
    say: Callable[[str], None],
    failure: type[Exception],
) -> str:
    """Run this Python with ``words`` and tell the seconds it took; its output.

    Raises ``failure`` with its last words.
    """
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise failure(f"{what}: {(done.stdout + done.stderr)[-LAST_WORDS:]}")
    say(f"· {what} … {time.monotonic() - began:.1f} s")
    return done.stdout
