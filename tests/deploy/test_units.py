"""The systemd units: systemd reads them without a warning, and each starts what the Procfile says."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from core.embedded import procfile
from tests.conventions.settings import names_in_example
from tests.faults.servers import program
from tests.servers import web_server

UNITS = settings.BASE_DIR / "deploy/systemd"
COMMON = "cgbookstore-.service.d/site.conf"
HOME, ENV = "/opt/cgbookstore/current", "/etc/cgbookstore/env"
PROCESSES = {
    "web": "cgbookstore-web@.service",
    "worker": "cgbookstore-worker.service",
    "bulk": "cgbookstore-bulk.service",
    "beat": "cgbookstore-beat.service",
}
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))


def text(name: str) -> str:
    return (UNITS / name).read_text()


def values(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text(name), re.MULTILINE)


def seconds(name: str, key: str) -> int:
    (value,) = values(name, key)
    number, unit = re.fullmatch(r"(\d+)(h|min|s)?", value).groups()
    return int(number) * {"h": 3600, "min": 60, "s": 1, None: 1}[unit]


@pytest.fixture
def installed(tmp_path) -> Path:
    """A copy of the units whose programs exist: files of the same names that do nothing."""
    home, units = tmp_path / "home", tmp_path / "units"
    shutil.copytree(UNITS, units)
    for name in ("deploy/run", "deploy/backup.sh", ".venv/bin/python"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("#!/bin/sh\n")
        (home / name).chmod(0o755)
    (tmp_path / "env").touch()
    for path in (*units.glob("*.*"), units / COMMON):
        if path.is_file():
            moved = path.read_text().replace(HOME, str(home)).replace(ENV, str(tmp_path / "env"))
            path.write_text(moved)
    return units


def analyze(units: Path, *words: str) -> subprocess.CompletedProcess:
    """systemd-analyze, with the folder ``units`` before the machine's own."""
    return subprocess.run(
        [program("systemd-analyze", "systemd"), *words],
        env={"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


def verify(units: Path) -> str:
    """What `systemd-analyze verify` has to say of all units; it answers 0 for most warnings."""
    found = sorted(str(path) for path in units.glob("*.*") if path.is_file())
    done = analyze(units, "verify", "--recursive-errors=yes", *found)
    return done.stdout + done.stderr or ("" if done.returncode == 0 else "it failed")


def test_systemd_has_nothing_to_say(installed):
    assert verify(installed) == ""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("cgbookstore-web@.service", "Bogus=1"),
        (COMMON, "ProtectSystem=very"),
        ("cgbookstore-worker.service", "ExecStart=/nowhere/run worker"),
        ("cgbookstore.target", "Wants=cgbookstore-gone.service\nRequires=cgbookstore-gone.service"),
        ("cgbookstore-backup.timer", "OnCalendar=*-*-* 25:00"),
    ],
)
def test_a_fault_would_be_seen(installed, name, line):
    path = installed / name
    section = (
        "[Unit]" if name.endswith(".target") else "[Timer]" if "timer" in name else "[Service]"
    )
    path.write_text(path.read_text().replace(section, f"{section}\n{line}", 1))
    assert verify(installed)


@pytest.mark.parametrize("name", [name for name in SERVICES if name.startswith("cgbookstore-")])
def test_little_is_left_to_attack(installed, name):
    """``security`` gives 0 to 10; a unit without any of it has 9.6."""
    done = analyze(
        installed,
        "security",
        "--offline=true",
        "--threshold=25",
        "--no-pager",
        str(installed / name),
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_every_process_has_a_unit_that_runs_its_line():
    assert set(PROCESSES) == set(procfile.commands(settings.BASE_DIR))
    for process, name in PROCESSES.items():
        (command,) = values(name, "ExecStart")
        assert command.endswith(f"{HOME}/deploy/run {process}")
        assert values(name, "Restart") == ["always"]
        assert values(name, "KillMode") == ["mixed"]  # celery's and granian's children are theirs
        assert name.replace("@.", "@8000.") in text("cgbookstore.target")


def test_a_stop_waits_for_what_is_being_done():
    line = procfile.commands(settings.BASE_DIR)["web"]
    granian = int(re.search(r"--workers-kill-timeout (\d+)", line)[1])
    assert seconds(PROCESSES["web"], "TimeoutStopSec") >= 2 * granian
    for process in ("worker", "bulk"):
        assert seconds(PROCESSES[process], "TimeoutStopSec") >= 60


def test_what_they_have_in_common():
    assert values(COMMON, "EnvironmentFile") == [ENV]
    for key in ("NoNewPrivileges", "PrivateTmp", "ProtectHome"):
        assert values(COMMON, key) == ["yes"]
    assert values(COMMON, "ProtectSystem") == ["strict"]
    assert values(COMMON, "LimitNOFILE") == ["65536"]
    assert values(COMMON, "RuntimeDirectoryMode") == ["0751"]  # nginx passes through to away/
    assert [name for name in SERVICES if values(name, "User")] == []  # the common file says it
    assert [name for name in SERVICES if not name.startswith("cgbookstore-")] == [
        "deaf-cgbookstore@.service", "hung-cgbookstore@.service",
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_a_web_process_that_hangs_is_restarted_and_one_that_answers_is_not():
    name = "cgbookstore-alive@.service"
    assert values(name, "OnFailure") == ["hung-cgbookstore@%i.service"]
    (cure,) = values("hung-cgbookstore@.service", "ExecStart")
    assert cure.endswith("systemctl try-restart cgbookstore-web@%i.service")
    (command,) = values(name, "ExecStart")
    for port in ("8000", "8001"):
        assert f"cgbookstore-alive@{port}.timer" in text("cgbookstore.target")

    with web_server() as site:
        port = site.rpartition(":")[2]

        def ask() -> int:
            words = command.replace("%i", port).split()
            return subprocess.run(words, capture_output=True, check=False, timeout=30).returncode

        assert ask() == 0
        hung = [process for process in psutil.process_iter() if listens(process, int(port))]
        assert hung
        for process in hung:
            process.suspend()
        try:
            assert ask() != 0
        finally:
            for process in hung:
                process.resume()
        assert ask() == 0


def listens(process: psutil.Process, port: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(
            line.status == psutil.CONN_LISTEN and line.laddr.port == port
            for line in process.net_connections(kind="tcp")
        )
    return False


def test_what_they_set_is_read_by_somebody():
    known = set(names_in_example((settings.BASE_DIR / ".env.example").read_text()))
    for name in PROCESSES.values():
        (command,) = values(name, "ExecStart")
        assert set(re.findall(r"\b([A-Z_]+)=", command)) <= known


class TestRun:
    """``deploy/run``, through which every unit and container starts."""

    def run(self, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [folder / "deploy/run", *words],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        (tmp_path / "deploy").mkdir()
        shutil.copy(settings.BASE_DIR / "deploy/run", tmp_path / "deploy")
        (tmp_path / ".venv/bin").mkdir(parents=True)
        (tmp_path / ".venv/bin/granian").write_text('#!/bin/sh\necho "$PWD $$ $*"\n')
        (tmp_path / ".venv/bin/granian").chmod(0o755)
        words = "# web: no\nweb: exec granian --port ${PORT:-8000} a:b\nwebs: exec false\n"
        (tmp_path / "Procfile").write_text(words)
        return tmp_path

    def test_it_becomes_the_line_of_the_procfile(self, folder):
        for given, port in (({}, "8000"), ({"PORT": "9001"}, "9001")):
            done = self.run(folder, "web", **given)
            assert done.returncode == 0, done.stderr
            where, _pid, *words = done.stdout.split()
            assert (where, words) == (str(folder), ["--port", port, "a:b"])

    def test_it_is_the_process_itself(self, folder):
        """A signal to the pid that systemd knows reaches granian, not a shell before it."""
        words = [folder / "deploy/run", "web"]
        child = subprocess.Popen(words, env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE)
        assert child.communicate()[0].split()[1] == str(child.pid).encode()

    def test_a_name_that_the_procfile_has_not(self, folder):
        done = self.run(folder, "wep")
        assert (done.returncode, done.stdout) == (2, "")
        assert "no process called wep" in done.stderr
        assert self.run(folder).returncode != 0
