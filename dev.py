#!/usr/bin/env python3
"""The project's door: ``python3 dev.py setup | up [--port N] | test [pytest words] | bench | drill``.

Standard library only, Python 3.11 or later. ``setup`` makes ``.venv`` and ``.env``; ``up`` also
starts the services, fills the database and runs the site until Ctrl-C; ``test`` runs the linters
and the suite, ``bench`` the load tests, ``drill`` takes one part after the other away under load,
each on a Postgres and a Redis of its own. What they leave behind: ``.venv``, ``.env``, ``.local``,
``staticfiles``, ``benchmarks/results`` and ``drills/results``, all ignored by git.
"""

import argparse
import contextlib
import hashlib
import http.client
import importlib.util
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036  this check is for the others
    sys.exit(f"CGBookStore needs Python 3.11 or later; this is {sys.version.split()[0]}.")

from core import embedded
from core.embedded import procfile, throwaway
from core.embedded.processes import is_free

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCAL = ROOT / ".local"
RUNNING = LOCAL / "up.json"  # who runs, in case this is killed
INSTALLED = VENV / "installed.json"  # requirement file -> hash of it and all it includes
OUTPUT: dict[str, Any] = {
    "stdout": subprocess.PIPE,
    "stderr": subprocess.STDOUT,
    "text": True,
    "errors": "replace",
}
READY_SECONDS = 60
BEGAN = "CGB_DEV_BEGAN"  # carries the clock over the change to the .venv's Python


class Failure(Exception):
    """Something a person has to know or do; ends the run with the message and exit code 1."""


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal."""


def say(text: str, end: str = "\n") -> None:
    """Print, even when the terminal has gone: stopping must not fail for want of a reader."""
    try:
        print(text, end=end, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  for the rest of the process


@contextlib.contextmanager
def step(what: str):
    """Show what is being done and how many seconds it took."""
    began = time.monotonic()
    say(f"· {what} … ", end="")
    try:
        yield
    finally:
        say(f"{time.monotonic() - began:.1f} s")


def run(what: str, words: list, env: dict[str, str]) -> str:
    """Run a command as one step and return its output; shows it only when the command fails."""
    with step(what):
        done = subprocess.run(words, cwd=ROOT, env=env, check=False, **OUTPUT)
        if done.returncode:
            last = "\n".join(done.stdout.strip().split("\n")[-15:])
            raise Failure(f"{what}: failed with code {done.returncode}. It said:\n{last}")
    return done.stdout.strip()


def on_signals(answer) -> None:
    """Set what Ctrl-C, SIGTERM and a closed terminal do."""
    for number in procfile.SIGNALS:
        signal.signal(number, answer)


def stop_once(number, frame):
    """End the run; a second signal does not disturb the end."""
    on_signals(lambda *_: None)
    raise Stopped(number)


def chain(name: str) -> list[str]:
    """A requirement file and all that it includes."""
    others = re.findall(r"^-r\s+(\S+)", (ROOT / name).read_text(), re.MULTILINE)
    return [name] + [each for other in others for each in chain(other)]


def requirement_hash(name: str) -> str:
    """Changes with a requirement file and with those that it includes."""
    return hashlib.sha256(b"".join((ROOT / each).read_bytes() for each in chain(name))).hexdigest()


def make_venv() -> None:
    """Make ``.venv``; again when its Python is gone, has no pip or is another environment's."""
    if PYTHON.exists():
        words: list = [PYTHON, "-c", "import pip, sys; print(sys.prefix)"]
        said = subprocess.run(words, check=False, **OUTPUT).stdout.strip()
        if Path(said).resolve() == VENV.resolve():
            return
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if importlib.util.find_spec("ensurepip") is None:
        raise Failure(
            "This Python cannot make a virtual environment, because its module ensurepip is missing. "
            f"On Debian and Ubuntu: apt install python{version}-venv, then run this again."
        )
    words = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    run(f"Making .venv with Python {version}", words, dict(os.environ))


def install(name: str) -> None:
    """Bring ``.venv`` to what a requirement file pins; instant when it is there already."""
    try:
        stamps = json.loads(INSTALLED.read_text())
    except (OSError, ValueError):
        stamps = {}
    if stamps.get(name) == requirement_hash(name):
        return
    quiet = ["--disable-pip-version-check", "--no-input"]
    words: list = [PYTHON, "-m", "pip", "install", *quiet, "-r", name]
    lines: list[str] = []
    with step(f"Installing {name}"):
        pip = subprocess.Popen(words, cwd=ROOT, **OUTPUT)
        shown = time.monotonic()
        try:
            for line in pip.stdout or ():
                lines.append(line.strip())
                if time.monotonic() - shown > 3:
                    shown = time.monotonic()
                    found = sum(each.startswith("Collecting ") for each in lines)
                    say(f"{found} packages … ", end="")
        except Stopped:
            pip.terminate()
            raise
        finally:
            failed = pip.wait()
        if failed:
            raise Failure(why_pip_failed(name, lines))
    stamps.update({each: requirement_hash(each) for each in chain(name)})
    INSTALLED.write_text(json.dumps(stamps))


def why_pip_failed(name: str, lines: list[str]) -> str:
    """What to do, and pip's own last words."""
    said = "\n".join(lines[-12:])
    offline = re.search("NewConnectionError|NameResolutionError|Max retries|timed out", said)
    cause = "pip could not reach the package index" if offline else "see what pip says below"
    return (
        f"The packages of {name} could not be installed ({cause}). Put that right and run this "
        f"again; the pins are made for Python 3.11 to 3.13. pip said:\n{said}"
    )


def write_env() -> None:
    """Write ``.env`` from ``.env.example`` with a secret key of its own, unless there is one."""
    path = ROOT / ".env"
    if path.exists():
        return
    example = (ROOT / ".env.example").read_text()
    line = f"SECRET_KEY={secrets.token_urlsafe(50)}"
    text, found = re.subn(r"^#?\s*SECRET_KEY=.*$", line, example, count=1, flags=re.MULTILINE)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(text if found else f"{line}\n{text}")
    say("· Wrote .env with a fresh SECRET_KEY")


def env_names() -> list[str]:
    """Every variable that ``.env.example`` names, commented out or not."""
    line = r"^(?:#\s*)?([A-Z][A-Z0-9_]*)="
    return re.findall(line, (ROOT / ".env.example").read_text(), re.MULTILINE)


def env_file() -> dict[str, str]:
    """The variables of ``.env``, read as the settings read it."""
    path = Path(os.environ.get("CGB_ENV_FILE", ROOT / ".env"))
    found = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            value = value.strip()
            quoted = re.fullmatch(r"'.*'|\".*\"", value)
            found[name.strip()] = value[1:-1] if quoted else value
    return found


def is_public() -> bool:
    """Whether ``SITE_URL`` says that strangers reach the site."""
    return (env_file() | os.environ).get("SITE_URL", "").startswith("https://")


def child_env() -> dict[str, str]:
    """The environment for our commands: this one, inside ``.venv``."""
    env = dict(os.environ, VIRTUAL_ENV=str(VENV), PYTHONUNBUFFERED="1")
    env["PATH"] = f"{BIN}{os.pathsep}{env.get('PATH', os.defpath)}"
    for name in ("PYTHONHOME", "DJANGO_SETTINGS_MODULE", BEGAN):
        env.pop(name, None)
    return env


def clean_env(folder: Path) -> dict[str, str]:
    """The environment for tests: nothing of this machine's site, whatever it names."""
    env = child_env()
    for name in env_names():
        env.pop(name, None)
    (folder / "empty.env").touch()
    env["CGB_ENV_FILE"] = str(folder / "empty.env")
    env["SECRET_KEY"] = secrets.token_urlsafe(50)
    env["STATIC_ROOT"] = str(folder / "static")  # never what `up` collected
    return env


def set_up(requirements: str) -> None:
    """Make ``.venv``, go on as its Python (only there the wheels are found) and install."""
    if Path(sys.prefix).resolve() != VENV.resolve():
        make_venv()
        words = [str(PYTHON), str(ROOT / "dev.py"), *sys.argv[1:]]
        if os.name == "nt":  # there execv returns to the prompt at once
            sys.exit(subprocess.call(words))
        os.execv(PYTHON, words)  # noqa: S606  no shell
    install(requirements)


def up(port: int) -> int:
    """Run the site until Ctrl-C. The pair is stopped at the end if this call started it."""
    with only_one():
        left = procfile.end_left(RUNNING)
        if left:
            say(f"· Ended what a killed `up` had left running: {', '.join(left)}")
        if not is_free(port):
            raise Failure(
                f"Port {port} is taken by another program: stop it, or choose a port, for example "
                f"`python3 dev.py up --port {port + 1}`."
            )
        set_up("requirements-local.txt")
        write_env()
        given = env_file() | os.environ
        wanted = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
        services = [name for name, variable in wanted.items() if not given.get(variable)]
        env = child_env() | {name: given[name] for name in procfile.variables(ROOT) & given.keys()}
        env["LOG_FORMAT"] = given.get("LOG_FORMAT") or "line"  # a person reads them
        ours = [name for name in services if left or embedded.status(LOCAL)[name] == "stopped"]
        try:
            if ours:
                with step("Starting " + " and ".join(map(str.capitalize, ours))):
                    embedded.start(LOCAL, services=ours)
            prepare(env)
            return serve(port, env, services)
        finally:
            embedded.stop(LOCAL, ours)


@contextlib.contextmanager
def only_one():
    """Refuse a second ``up`` of this folder: two Beats would send every job twice."""
    import fcntl

    LOCAL.mkdir(exist_ok=True)
    with open(LOCAL / "up.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("Another `dev.py up` of this folder is running: stop it first.") from None
        yield


def prepare(env: dict[str, str]) -> None:
    """Bring database and static files to what the code wants."""
    manage = [PYTHON, "manage.py"]
    run("Migrating the database", [*manage, "migrate", "--noinput"], env)
    root = Path((env_file() | os.environ).get("STATIC_ROOT") or ROOT / "staticfiles")
    stamp, digest = LOCAL / "static.sha256", static_digest(root)
    collected = (root / "staticfiles.json").exists() and stamp.exists()
    if not collected or stamp.read_text() != digest:
        run("Collecting static files", [*manage, "collectstatic", "--noinput"], env)
        stamp.write_text(digest)
    if is_public():
        return  # everybody knows the demo's logins
    said = run("Loading the demo content", [*manage, "load_demo"], env)
    say("  " + said.replace("\n", "\n  "), end="\n" if said else "")


def static_digest(root: Path) -> str:
    """Changes when a static file of ours or of a package may have changed."""
    paths = [*(ROOT / "static").rglob("*"), *ROOT.glob("*/static/**/*")]
    parts = [str(root), INSTALLED.read_text()]
    parts += [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in sorted(paths)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def serve(port: int, env: dict[str, str], services: list[str]) -> int:
    """Run web, worker and beat; say so once the site answers."""
    words = [PYTHON, "manage.py", "load_demo", "--logins"]
    logins = "" if is_public() else run("Looking up the demo logins", words, env)
    processes = procfile.Processes(ROOT, port, env, record=RUNNING, show=say)
    try:
        processes.watch()
        began = time.monotonic()
        while processes.run() and not answers(port):
            if time.monotonic() - began > READY_SECONDS:
                raise Failure(f"The site did not answer /healthz within {READY_SECONDS} seconds.")
            time.sleep(0.1)
        if processes.run():
            say(banner(port, logins))
        while processes.run():
            ended = [name for name in services if embedded.status(LOCAL)[name] == "stopped"]
            if ended:
                raise Failure(f"{ended[0].capitalize()} ended; see its log in {LOCAL / ended[0]}.")
            time.sleep(1)
    finally:
        processes.stop()
    raise Failure(processes.why())


def answers(port: int) -> bool:
    """Whether the site is there and well."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(line):
        line.request("GET", "/healthz")
        return line.getresponse().status == 200
    return False


def banner(port: int, logins: str) -> str:
    """The address and who may log in."""
    seconds = time.time() - float(os.environ[BEGAN])
    rows = [login.split() for login in logins.splitlines()]
    who = "".join(f"\n      {name} / {password}   ({role})" for role, name, password in rows)
    login = f"\n    Log in as{who}\n" if who else ""
    return (
        f"\n    CGBookStore is at http://localhost:{port}/   (ready in {seconds:.0f} s)\n"
        f"{login}\n    Ctrl-C stops everything.\n"
    )


@contextlib.contextmanager
def own_pair(durable: bool):
    """Yield a throw-away folder and the environment of a Postgres and a Redis that stand in it."""
    throwaway.sweep()
    with throwaway.folder() as folder:
        env = clean_env(folder)
        with step("Starting a Postgres and a Redis of its own"):
            found = embedded.start(folder, durable=durable)
        yield folder, env | {"DATABASE_URL": found.database_url, "REDIS_URL": found.redis_url}


def test(arguments: list[str]) -> int:
    """Lint, then run the suite; the exit code of the first that failed."""
    set_up("requirements-dev.txt")
    with own_pair(durable=False) as (_folder, env):
        layout = ["ruff", "format", "--check", "--output-format", "concise"]
        lint = ["djlint", "templates", "--lint", "--quiet"]
        commands = [["ruff", "check"], layout, lint, ["mypy"], ["pytest", *arguments]]
        codes = [finish([PYTHON, "-m", *words], env) for words in commands]
        return next((code for code in codes if code), 0)


def bench(arguments: list[str]) -> int:
    """Measure the site under load; writes wait for the disk, as they do for readers."""
    set_up("requirements-bench.txt")
    with own_pair(durable=True) as (folder, env):
        return finish([PYTHON, "-m", "benchmarks", folder, *arguments], env)


def drill(arguments: list[str]) -> int:
    """Take each server and process away under load, and compare what was promised with what is kept."""
    set_up("requirements-dev.txt")
    with own_pair(durable=True) as (folder, env):
        return finish([PYTHON, "-m", "drills", folder, *arguments], env)


def finish(words: list, env: dict[str, str]) -> int:
    """Run a command on this terminal to its end; on ``Stopped`` it gets time to clean up."""
    say(f"· {' '.join(map(str, words[2:]))}")
    child = subprocess.Popen(words, cwd=ROOT, env=env)
    try:
        return child.wait()
    except Stopped:
        for number in (0, signal.SIGINT, signal.SIGKILL):  # the terminal may have told it already
            child.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10 if number else 2)
        raise


def main(argv: list[str]) -> int:
    """Answer one command line."""
    os.environ.setdefault(BEGAN, str(time.time()))
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="make .venv and .env")
    runs = commands.add_parser("up", help="run the site, with all it needs, until Ctrl-C")
    runs.add_argument("--port", type=int, default=int(os.environ.get("PORT", 8000)))
    commands.add_parser("test", help="lint, then run the suite; takes pytest's arguments")
    commands.add_parser(
        "bench", help="measure under load; --full, --before, --quick, --only", add_help=False
    )
    commands.add_parser(
        "drill",
        help="stop, hang and restart every part under load; --quick, --only",
        add_help=False,
    )
    asked, rest = parser.parse_known_args(argv)
    doors = {"test": test, "bench": bench, "drill": drill}
    if rest and asked.command not in doors:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    on_signals(stop_once)
    try:
        if asked.command == "setup":
            set_up("requirements-local.txt")
            write_env()
            return 0
        if os.name != "posix":
            raise Failure("On Windows work under WSL2, or with the five lines of docs/running.md.")
        if asked.command == "up":
            return up(asked.port)
        return doors[asked.command](rest)
    except Stopped as stopped:
        say("\nStopped.")
        return 128 + stopped.args[0]
    except (Failure, embedded.EmbeddedError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
