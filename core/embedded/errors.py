"""What can go wrong, each as one sentence for a person."""

from pathlib import Path


class EmbeddedError(Exception):
    """A server could not be started or stopped; the message says what, where its log is, what to do."""


class SetUpMissing(SystemExit):
    """Ends any terminal (manage.py, celery, granian) with one sentence and no traceback."""


class ServicesMissing(SetUpMissing):
    """There is no Postgres or no Redis to talk to."""

    WAYS = (
        "No Postgres and Redis to talk to: run `python3 dev.py up`, or start a pair with "
        "`python manage.py services start`, or name your servers in .env as DATABASE_URL and REDIS_URL."
    )

    def __init__(self, message: str = WAYS):
        super().__init__(message)


def ending(log: Path) -> str:
    """Where the log is and what it says last, as the middle of a sentence."""
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"its log {log} ends with “{last}”"
