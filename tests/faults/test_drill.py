"""The short form of ``dev.py drill``: every part stops, hangs and restarts under load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from django.conf import settings

from core.embedded import throwaway
from core.embedded.processes import identity
from drills.faults import NAMES
from tests.servers import child_environment

from .servers import wait_for

MOST_SECONDS = 420  # of a drill that takes a minute and a half when it has two cores to itself


def start(folder, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "drills", str(folder), "--quick", "--results", str(folder), *words],
        cwd=settings.BASE_DIR,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice():
    with throwaway.folder() as folder:
        drill = start(folder)
        try:
            said, _none = drill.communicate(timeout=MOST_SECONDS)
        finally:
            drill.kill()
        assert drill.returncode == 0, said[-6000:]
        assert "Nothing acknowledged is lost" in said
        found = json.loads((folder / "drill.json").read_text())
    assert len(found["rows"]) == len(NAMES)
    assert found["wrong"] == []
    facts = found["facts"]
    for kind in ("reply", "vote", "shelf", "debate", "sign-up", "reset"):
        assert facts[f"{kind} acknowledged"] > 0, facts
    assert facts["mails"] >= facts["reset acknowledged"]
    assert 0 < facts["readings counted"] <= facts["readings asked for"]


def test_told_to_stop_it_leaves_nothing_running():
    with throwaway.folder() as folder, start(folder, "--only", "worker-hang") as drill:
        pids: list[int] = []

        def all_run() -> bool:
            assert drill.poll() is None, drill.communicate()[0][-3000:]
            path = folder / throwaway.RUNNING
            rows = json.loads(path.read_text()) if path.exists() else {}
            pids[:] = [pid for pid, _start in rows.values()]
            return len(pids) == 4 and all(map(identity, pids))

        try:
            wait_for(all_run, "its programs did not start", seconds=120)
            drill.send_signal(signal.SIGTERM)
            said, _none = drill.communicate(timeout=120)
        finally:
            drill.kill()
        assert drill.returncode == 143, said
        assert not any(map(identity, pids))
        left = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True)
        mine = [row for row in left.stdout.splitlines() if str(folder) in row]
        assert [row for row in mine if int(row.split()[0]) != os.getpid()] == []
