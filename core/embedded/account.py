"""Who Postgres runs as, since it refuses root, and where that account can work.

An ordinary user runs it as themselves, inside their own folder. Root runs it as an
existing account without rights; where that account cannot reach the project or the
wheel (a private home), what it needs stands in a folder of ours outside. No folder that
we did not make changes its mode or owner.
"""

import hashlib
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import EmbeddedError

NAMES = ("postgres", "_postgres", "nobody")
HOMES = (Path("/var/lib/cgbookstore"), Path("/var/tmp/cgbookstore"))  # noqa: S108  owner is checked


@dataclass(frozen=True)
class Account:
    """An existing account of this machine, used by root only."""

    name: str
    uid: int
    gid: int

    def for_process(self) -> dict[str, Any]:
        """The arguments that make ``subprocess`` start a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reaches(self, path: Path, test: str = "-x") -> bool:
        """Whether the account itself passes ``test`` (of the shell) on ``path``."""
        checked = subprocess.run(
            ["/bin/sh", "-c", f'test {test} "$0"', str(path)],
            cwd="/",
            stderr=subprocess.DEVNULL,
            check=False,
            **self.for_process(),
        )
        return checked.returncode == 0


def account(data: Path) -> Account | None:
    """The account for the cluster in ``data``, its owner's if it exists; ``None``: run as oneself."""
    import pwd  # not on Windows, where settings still import this package

    found = data.stat() if data.exists() else None
    me = os.geteuid()
    if me != 0:
        if found and found.st_uid != me:
            raise EmbeddedError(
                f"The database in {data} belongs to another account (uid {found.st_uid}): run this as "
                "the one who made it, or move that folder away to begin a new one."
            )
        return None
    if found and found.st_uid != 0:
        return Account(f"uid {found.st_uid}", found.st_uid, found.st_gid)
    for name in NAMES:
        try:
            row = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(row.pw_name, row.pw_uid, row.pw_gid)
    raise EmbeddedError(
        f"Postgres refuses to run as root and this machine has none of the accounts {', '.join(NAMES)}: "
        "run this as an ordinary user, or name a server as DATABASE_URL in .env."
    )


def _ours(path: Path) -> bool:
    """Whether ``path`` is a real folder that belongs to us (others may write in /var/tmp)."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _make(path: Path) -> bool:
    """Make ``path`` open to read, whatever the umask, unless it is there and ours already."""
    try:
        path.mkdir()
        path.chmod(0o755)
    except OSError:
        return _ours(path)
    return True


def home(folder: Path, *, make: bool = False) -> Path | None:
    """The folder outside that serves ``folder``; ``None`` when there is none and ``make`` is off."""
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    for parent in HOMES:
        if _ours(parent) and _ours(parent / name):
            return parent / name
    if not make:
        return None
    for parent in HOMES:
        if _make(parent) and _make(parent / name):
            (parent / name / "belongs-to").write_text(f"{folder.resolve()}\n")
            return parent / name
    raise EmbeddedError(
        f"No account but root reaches {folder}, and no folder could be made in "
        f"{' or '.join(str(parent.parent) for parent in HOMES)} instead: run this as an ordinary "
        "user, or name a server as DATABASE_URL in .env."
    )
