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
    """Where the log is and what it says last, best a fatal error, as the middle of a sentence."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line.strip() for line in text.split("\n") if line.strip()][-12:]
    fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
    return f"its log {log} ends with “{(fatal or lines or ['nothing'])[-1]}”"
