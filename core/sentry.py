"""Errors for Sentry, without who made them happen and what they typed. Off without a DSN.

The library collects much and removes some; here it is told to collect nothing personal, and
what still comes along is built anew from the few fields that may leave: whatever a later version
of it adds stays here until somebody names it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .scrubbing import without_literals, without_mails, without_values
from .work import NO_VIEW, request_id, work

# What an event may say of the request: no body, cookies, headers, query string, address.
REQUEST_FIELDS = ("method", "url")
DROPPED = ("user", "breadcrumbs", "extra", "modules", "server_name")
CONTEXTS = ("runtime", "trace")
MOST_SECONDS_AT_END = 2


def start(dsn: str, *, environment: str, release: str, traces: float) -> None:
    """Send errors of requests and tasks to ``dsn``; nothing happens without one."""
    if not dsn:
        return
    import sentry_sdk
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.django import DjangoIntegration

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release or None,
        traces_sample_rate=traces or None,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        auto_session_tracking=False,
        max_breadcrumbs=0,
        server_name="",
        shutdown_timeout=MOST_SECONDS_AT_END,
        auto_enabling_integrations=False,
        integrations=[
            DjangoIntegration(transaction_style="url", middleware_spans=False),
            CeleryIntegration(monitor_beat_tasks=False),
        ],
        before_send=scrubbed,
        before_send_transaction=scrubbed,
    )


def scrubbed(event: Any, hint: dict[str, Any]) -> Any:
    """Return ``event`` with what may leave this machine."""
    for name in DROPPED:
        event.pop(name, None)
    if "request" in event:
        event["request"] = _request(event["request"])
    if event.get("transaction_info", {}).get("source") == "url":
        event["transaction"] = NO_VIEW  # an address that leads nowhere, as somebody wrote it
    kept = event.get("contexts", {})
    event["contexts"] = {name: kept[name] for name in CONTEXTS if name in kept}
    event["contexts"].get("trace", {}).pop("data", None)
    event["tags"] = {"request_id": request_id.get(), "view": work.view, "task": work.task}
    for problem in event.get("exception", {}).get("values", []):
        problem["value"] = without_values(str(problem.get("value") or ""))
        for frame in problem.get("stacktrace", {}).get("frames", []):
            frame.pop("vars", None)
    if "logentry" in event:  # the line with its words in it stays out, the line itself may go
        event["logentry"] = {"message": without_mails(str(event["logentry"].get("message", "")))}
    for span in event.get("spans", []):
        span.pop("data", None)
        span["description"] = without_literals(span.get("description") or "")
    return event


def _request(request: dict[str, Any]) -> dict[str, Any]:
    """Method and site; the path may be somebody's name, the view tells what was asked."""
    kept = {name: request[name] for name in REQUEST_FIELDS if name in request}
    if "url" in kept:
        parts = urlsplit(kept["url"])
        kept["url"] = f"{parts.scheme}://{parts.netloc}/"
    return kept
