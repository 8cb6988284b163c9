"""The processes of the ``Procfile``: run together under honcho, and certain to end together."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path

from .processes import identity

SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
STOP_SECONDS = 15  # honcho itself kills what ignores it after 5
KEPT_LINES = 20


def commands(root: Path) -> dict[str, str]:
    """The shell command of each process by name."""
    text = (root / "Procfile").read_text()
    return dict(re.findall(r"^([A-Za-z0-9_-]+):\s*(.+)$", text, re.MULTILINE))


def variables(root: Path) -> set[str]:
    """What the environment may set: the names that the commands use."""
    return set(re.findall(r"\$\{(\w+):-", " ".join(commands(root).values())))


def end_left(record: Path) -> list[str]:
    """Kill what a killed run left behind, by the pids in ``record``; returns their names."""
    try:
        rows = json.loads(record.read_text())
        left = [name for name, (pid, start) in rows.items() if identity(pid) == start]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
    for name in left:
        _kill_group(rows[name][0])
    record.unlink()
    return left


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def note(path: Path, groups: dict[str, int]) -> None:
    """Write who runs, name and process group, for ``end_left``; whoever reads finds all of it."""
    rows = {name: (group, identity(group)) for name, group in groups.items()}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(rows))
    new.replace(path)


class Processes:
    """A running ``Procfile``, with the pids in the file ``record`` in case this run is killed.

    Honcho starts each process in a group of its own and prints their lines with their names;
    ``show`` gets each line. SIGINT, SIGTERM and SIGHUP are blocked from the moment honcho exists
    until the caller, ready to stop it, calls ``watch``: none is left behind by a signal between.
    """

    def __init__(
        self,
        root: Path,
        port: int,
        env: dict[str, str],
        record: Path,
        show: Callable[[str], None],
    ):
        self.record = record
        self.show = show
        self.last: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT_LINES))
        self.groups: dict[str, int] = {}  # name -> process group
        self.died = ""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.honcho = subprocess.Popen(
            [sys.executable, "-m", "honcho", "-e", os.devnull, "start", "-p", str(port)],
            cwd=root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches it through us, once
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS),
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def watch(self) -> None:
        """Let signals through again."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def read(self) -> None:
        """Show honcho's lines, and learn from them who started and who ended."""
        assert self.honcho.stdout is not None  # noqa: S101  for the type checker: a pipe
        for line in self.honcho.stdout:
            line = line.rstrip("\n")
            head, bar, text = line.partition("| ")
            name = (head.split() or [""])[-1]
            self.last[name].append(text if bar else line)
            if name == "system":
                if began := re.match(r"(\S+) started \(pid=(\d+)\)", text):
                    self.groups[began[1]] = int(began[2])
                    self.write()
                if ended := re.match(r"(\S+) stopped \(rc=(-?\d+)\)", text):
                    self.died = self.died or f"{ended[1]} ended with code {ended[2]}"
            self.show(line)

    def write(self) -> None:
        """Keep the groups for ``end_left``; honcho's own is one of them."""
        groups = {"honcho": self.honcho.pid, **self.groups}
        note(self.record, groups)

    def run(self) -> bool:
        """Whether all still run. Honcho misses a killed process whose children hold its output."""
        dead = [name for name, pid in list(self.groups.items()) if not identity(pid)]
        if dead:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.honcho.wait(1)
            self.died = self.died or f"{dead[0]} was killed"
        return not dead and self.honcho.poll() is None

    def stop(self) -> None:
        """End honcho and every process of every group it started; at most ``STOP_SECONDS`` + 5."""
        with contextlib.suppress(ProcessLookupError):
            self.honcho.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.honcho.wait(STOP_SECONDS)
        for group in list(self.groups.values()):
            _kill_group(group)
        self.honcho.kill()
        self.honcho.wait()
        self.reader.join(5)
        if self.honcho.stdout and not self.reader.is_alive():
            self.honcho.stdout.close()
        self.record.unlink(missing_ok=True)

    def why(self) -> str:
        """Who died, and what it said last."""
        name = self.died.split(" ")[0] or "system"
        said = "\n".join(f"  {line}" for line in self.last[name])
        return f"{self.died or 'honcho ended'}, so everything was stopped. Its last lines:\n{said}"
