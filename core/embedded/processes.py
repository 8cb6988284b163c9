"""Which process is ours, whether it lives, how it ends; and ports nobody uses."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LINUX = sys.platform.startswith("linux")
PORTS = range(20_000, 30_000)  # below what Linux and macOS hand to clients, and no default port
PORT_TRIES = 50


def _ps(pid: int, column: str) -> str:
    """One column of ``ps`` for ``pid``; empty for a dead one. Some 10 ms: macOS only."""
    return subprocess.run(
        ["ps", "-o", f"{column}=", "-p", str(pid)],
        env={"PATH": os.defpath, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()


def identity(pid: int) -> str | None:
    """Tell one process from any later one with its pid: boot and start. ``None``: it is dead."""
    if pid <= 0:
        return None
    if not LINUX:
        return None if _ps(pid, "stat")[:1] in ("", "Z") else _ps(pid, "lstart")
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    state, *numbers = stat.rpartition(b")")[2].split()
    if state in (b"Z", b"X"):  # dead, and waiting for its parent to notice
        return None
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{boot.read_text().strip() if boot.exists() else ''}/{numbers[18].decode()}"


def command(pid: int) -> str:
    """The command line of ``pid`` with spaces between its words; empty for a dead one."""
    if not LINUX:
        return _ps(pid, "command")
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace")


def end(pid: int, steps: Sequence[tuple[str, float]]) -> bool:
    """Send each signal in turn and give it its seconds; ``False`` if ``pid`` outlives them all."""
    mark = identity(pid)
    for name, seconds in steps:
        deadline = time.monotonic() + seconds
        if mark is None or identity(pid) != mark:
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.Signals[name])
        while time.monotonic() < deadline:
            if identity(pid) != mark:
                return True
            time.sleep(0.02)
    return False


def is_free(port: int) -> bool:
    """Whether nothing listens on ``port`` of this machine and a server of ours may."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(last: int = 0) -> int:
    """``last`` if it is still free, so that addresses stay the same between runs; else another."""
    if last and is_free(last):
        return last
    for _ in range(PORT_TRIES):
        port = secrets.choice(PORTS)
        if is_free(port):
            return port
    raise OSError(f"no free port among {PORT_TRIES} tried from {PORTS.start} to {PORTS.stop}")
