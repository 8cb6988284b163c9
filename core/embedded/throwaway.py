"""Folders that go away with all that was started in them, and what killed runs left behind."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import procfile, remove
from .processes import identity

PREFIX = "cgbookstore-test-"
RUNNING = "running.json"  # processes of the site that stand there, as procfile.end_left reads them


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder that every account reaches; whatever runs in it is ended after."""
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        made.chmod(0o755)  # for the account that Postgres runs as under root
        (made / "owner").write_text(f"{os.getpid()} {identity(os.getpid())}")
        yield made
    finally:
        clear(made)


def clear(made: Path) -> None:
    """End the processes and the servers of ``made`` and of the folders in it, and delete it."""
    procfile.end_left(made / RUNNING)
    for record in sorted(made.glob("**/services.json")):
        remove(record.parent)
    remove(made)
    shutil.rmtree(made, ignore_errors=True)


def sweep() -> None:
    """Remove what a killed run left: its servers run on, but nobody owns them any more."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            pid, start = (left / "owner").read_text().split(maxsplit=1)
            if left.stat().st_uid == os.getuid() and identity(int(pid)) != start:
                clear(left)
