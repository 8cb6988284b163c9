"""``dev.py`` and the ``Procfile``, as a person meets them."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from decouple import RepositoryEnv

import dev
from core import embedded
from core.embedded import procfile
from core.embedded.processes import free_port, identity

ROOT = Path(__file__).resolve().parent.parent


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.05)
    return found


def get(port, path):
    """The status of a page, 0 when nobody answers."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(line), contextlib.suppress(OSError, http.client.HTTPException):
        line.request("GET", path)
        return line.getresponse().status
    return 0


def children(pid):
    rows = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [map(int, row.split()) for row in rows.stdout.splitlines()]
    return {child for child, parent in pairs if parent == pid and identity(child)}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder with nothing but ``.env.example``, taken for the project's."""
    shutil.copy(ROOT / ".env.example", tmp_path)
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.delenv("CGB_ENV_FILE", raising=False)
    return tmp_path


class TestWriteEnv:
    def test_writes_a_key_of_its_own_for_its_owner_only(self, elsewhere, tmp_path_factory):
        dev.write_env()
        path = elsewhere / ".env"
        first = dev.env_file()["SECRET_KEY"]
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(first) >= 50
        changed = [
            line
            for line in path.read_text().splitlines()
            if line not in (elsewhere / ".env.example").read_text().splitlines()
        ]
        assert changed == [f"SECRET_KEY={first}"]
        path.unlink()
        dev.write_env()
        assert dev.env_file()["SECRET_KEY"] != first

    def test_leaves_an_existing_file_alone(self, elsewhere):
        (elsewhere / ".env").write_text("SECRET_KEY=mine\n")
        dev.write_env()
        assert (elsewhere / ".env").read_text() == "SECRET_KEY=mine\n"

    def test_reads_it_as_the_settings_do(self, elsewhere):
        text = """
            # A=comment
            PLAIN=1
              SPACES  =  two words
            SINGLE='quoted # not a comment'
            DOUBLE="quoted"
            HALF="left
            URL=postgres://a:b=c@host/x?y=z
            EMPTY=
            no equals sign
        """
        (elsewhere / ".env").write_text(text)
        assert dev.env_file() == RepositoryEnv(str(elsewhere / ".env")).data


class TestCleanEnv:
    def test_nothing_that_env_example_names_reaches_the_tests(self, tmp_path, monkeypatch):
        for name in dev.env_names():
            monkeypatch.setenv(name, "somebody's")
        monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "somebody.settings")
        env = dev.clean_env(tmp_path)
        assert "somebody's" not in env.values()
        assert "DJANGO_SETTINGS_MODULE" not in env
        assert Path(env["CGB_ENV_FILE"]).read_text() == ""
        assert len(env["SECRET_KEY"]) >= 50
        assert dev.clean_env(tmp_path)["SECRET_KEY"] != env["SECRET_KEY"]

    def test_env_example_names_all_that_is_read(self):
        read = set(
            re.findall(r'config\(\s*"(\w+)"', (ROOT / "cgbookstore/settings.py").read_text())
        )
        assert {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"} <= read
        assert read | procfile.variables(ROOT) <= set(dev.env_names())


class TestRun:
    def test_a_failed_step_says_what_it_was_and_what_was_said(self):
        words = [sys.executable, "-c", "print('no such table'); raise SystemExit(3)"]
        with pytest.raises(dev.Failure, match=r"Migrating: failed with code 3.*\nno such table"):
            dev.run("Migrating", words, dict(os.environ))

    def test_pip_without_a_network_is_told_apart(self):
        said = dev.why_pip_failed("requirements.txt", ["Retrying after NewConnectionError(...)"])
        assert "could not reach the package index" in said
        assert "see what pip says" in dev.why_pip_failed("requirements.txt", ["ERROR: conflict"])


class TestInstall:
    def test_a_changed_included_file_is_noticed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(dev, "ROOT", tmp_path)
        (tmp_path / "base.txt").write_text("a==1\n")
        (tmp_path / "more.txt").write_text("-r base.txt\nb==1\n")
        before = dev.requirement_hash("more.txt")
        assert dev.chain("more.txt") == ["more.txt", "base.txt"]
        (tmp_path / "base.txt").write_text("a==2\n")
        assert dev.requirement_hash("more.txt") != before


class TestUp:
    def test_a_taken_port_is_said_before_anything_starts(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = subprocess.run(
                [sys.executable, "dev.py", "up", "--port", str(port)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        assert (done.returncode, done.stdout) == (1, "")
        assert f"Port {port} is taken" in done.stderr
        assert done.stderr.count("\n") == 1

    def test_serves_the_demo_twice_and_leaves_nothing_running(self, tmp_path):
        tree = copy_of_the_tree(tmp_path / "a folder")
        try:
            first = self.run_until(signal.SIGHUP, tree, seconds=85)
            assert re.search(r"Loaded \d+ books", first)
            assert re.search(r"bibliotecaria / \S+", first)
            second = self.run_until(signal.SIGINT, tree, seconds=30)
            assert "Collecting" not in second and "Loaded" not in second
        finally:
            embedded.remove(tree / ".local")

    def run_until(self, number, tree, seconds):
        """Run the site, look at it, send it a signal; its output."""
        port, log = free_port(), tree / "log"
        names = {*dev.env_names(), "CGB_ENV_FILE", dev.BEGAN}
        env = {name: value for name, value in os.environ.items() if name not in names}
        words = [tree / ".venv/bin/python", "dev.py", "up", "--port", str(port)]
        with open(log, "w") as out:
            door = subprocess.Popen(words, cwd=tree, env=env, stdout=out, stderr=out)
        try:
            wait_for(
                lambda: "Ctrl-C stops" in log.read_text() or door.poll() is not None,
                seconds,
                log.read_text,
            )
            assert get(port, "/debates/") == 200, log.read_text()
            assert len(running_under(tree)) >= 4  # this, honcho, granian, celery
            pair = [server.pid for server in embedded.record.read(tree / ".local").values()]
            door.send_signal(number)
            assert door.wait(30) == 128 + number, log.read_text()
        finally:
            door.terminate()
            door.wait(30)
        assert running_under(tree) == []
        assert len(pair) == 2
        assert not any(map(identity, pair))
        return log.read_text()


def copy_of_the_tree(target):
    """The project without what is made in it; it shares the ``.venv`` of this run."""
    unneeded = shutil.ignore_patterns(".*", "__pycache__", "staticfiles")
    shutil.copytree(ROOT, target, ignore=unneeded)
    shutil.copy(ROOT / ".env.example", target)
    (target / ".venv").symlink_to(ROOT / ".venv")
    return target


def running_under(folder):
    rows = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True)
    found = [row.split(maxsplit=1) for row in rows.stdout.splitlines() if str(folder) in row]
    return [words for pid, words in found if identity(int(pid))]


class TestProcesses:
    @pytest.fixture
    def run(self, tmp_path):
        """Start a Procfile of three; ``web`` has a child that holds its output."""
        forever = "import time; time.sleep(60)"
        parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{forever}'])"
        (tmp_path / "web.py").write_text(parent)
        (tmp_path / "beat.py").write_text("print('the last words', flush=True)\n" + forever)
        lines = [f"{name}: exec {sys.executable} {name}.py" for name in ("web", "beat")]
        (tmp_path / "Procfile").write_text("# a comment\n" + "\n".join(lines) + "\n")
        seen = []
        running = procfile.Processes(
            tmp_path, 5000, dict(os.environ), tmp_path / "up.json", seen.append
        )
        try:
            running.watch()
            wait_for(lambda: len(running.groups) == 2, 10, lambda: "\n".join(seen))
            wait_for(lambda: any("last words" in line for line in seen), 10, "no output")
            wait_for(lambda: children(running.groups["web.1"]), 10, "no child")
            yield running
        finally:
            running.stop()

    def test_stop_leaves_no_child(self, run):
        (child,) = children(run.groups["web.1"])
        assert run.run()
        run.stop()
        assert not identity(child)
        assert not any(map(identity, run.groups.values()))
        assert not run.run()

    def test_the_dead_one_is_named_with_its_last_words(self, run):
        os.kill(run.groups["beat.1"], signal.SIGTERM)
        wait_for(lambda: not run.run(), 10, "still running")
        assert run.why().startswith("beat.1 ended with code -15")
        assert "  the last words" in run.why()

    def test_one_whose_children_outlive_it_is_noticed(self, run):
        (child,) = children(run.groups["web.1"])
        os.kill(run.groups["web.1"], signal.SIGKILL)
        wait_for(lambda: not run.run(), 10, "still running")
        assert run.why().startswith("web.1 was killed")
        run.stop()
        assert not identity(child)

    def test_a_killed_honcho_leaves_no_child_either(self, run):
        (child,) = children(run.groups["web.1"])
        run.honcho.kill()
        wait_for(lambda: not run.run(), 10, "still running")
        run.stop()
        assert not identity(child)
        assert not any(map(identity, run.groups.values()))

    def test_what_a_killed_run_left_is_ended_by_the_next(self, run, tmp_path):
        (child,) = children(run.groups["web.1"])
        left = procfile.end_left(tmp_path / "up.json")
        assert sorted(left) == ["beat.1", "honcho", "web.1"]
        wait_for(lambda: not identity(child), 5, "its child lives on")
        assert procfile.end_left(tmp_path / "up.json") == []

    def test_a_pid_that_somebody_else_got_is_left_alone(self, tmp_path):
        with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
            (tmp_path / "up.json").write_text(json.dumps({"web.1": [stranger.pid, "long ago"]}))
            assert procfile.end_left(tmp_path / "up.json") == []
            assert stranger.poll() is None
            stranger.kill()


class TestProcfile:
    def test_names_what_up_runs(self):
        assert list(procfile.commands(ROOT)) == ["web", "worker", "bulk", "beat"]

    def test_a_killed_web_worker_is_back_within_five_seconds(self, tmp_path):
        port, log = free_port(), tmp_path / "log"
        env = dev.child_env() | {"PORT": str(port)}
        with open(log, "w") as out:
            line = procfile.commands(ROOT)["web"]
            web = subprocess.Popen(line, shell=True, cwd=ROOT, env=env, stdout=out, stderr=out)
        try:
            wait_for(lambda: log.read_text().count("Started worker") == 2, 30, log.read_text)
            assert get(port, "/healthz") == 200
            before = children(web.pid)
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()
            wait_for(lambda: log.read_text().count("Started worker") == 3, 5, log.read_text)
            assert get(port, "/healthz") == 200
            assert time.monotonic() - killed < 5
            after = children(web.pid)
            assert victim not in after
            assert len(after) == len(before) == 2
        finally:
            web.terminate()
            web.wait(20)
