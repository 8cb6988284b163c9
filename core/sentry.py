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

# What may leave, each level by name. Of the request: no body, cookies, headers, query string, address.
EVENT = (
    "event_id", "type", "timestamp", "start_timestamp", "platform", "level", "logger", "release",
    "environment",
)  # fmt: skip
SDK = ("name", "version", "integrations")
REQUEST = ("method", "url")
CONTEXTS = {
    "runtime": ("name", "version"),
    "trace": ("trace_id", "span_id", "parent_span_id", "op", "status", "origin"),
}
SAMPLING = ("trace_id", "public_key", "environment", "release", "sample_rate", "sampled")
PROBLEM = ("type", "module")
MECHANISM = ("type", "handled")
FRAME = (
    "filename", "module", "function", "lineno", "in_app", "pre_context", "context_line",
    "post_context",
)  # fmt: skip
SPAN = (
    "trace_id", "span_id", "parent_span_id", "op", "status", "origin", "timestamp",
    "start_timestamp",
)  # fmt: skip
TOLD_SPANS = ("db", "template", "view", "queue")  # a statement, or a name of ours
TOLD_SOURCES = ("route", "task", "component")  # "url" is an address as somebody wrote it
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
    """Return a new event with what of ``event`` may leave this machine."""
    contexts = event.get("contexts", {})
    source = event.get("transaction_info", {}).get("source", "")
    found = _named(event, EVENT) | {
        "sdk": _named(event.get("sdk", {}), SDK),
        "transaction": event.get("transaction") if source in TOLD_SOURCES else NO_VIEW,
        "transaction_info": {"source": source if source in TOLD_SOURCES else "custom"},
        "contexts": {
            name: _named(contexts[name], fields)
            for name, fields in CONTEXTS.items()
            if name in contexts
        },
        "tags": {"request_id": request_id.get(), "view": work.view, "task": work.task},
    }
    sampling = contexts.get("trace", {}).get("dynamic_sampling_context")
    if sampling:  # the library takes it out again and writes it on the envelope
        found["contexts"]["trace"]["dynamic_sampling_context"] = _named(sampling, SAMPLING)
    if "request" in event:
        found["request"] = _request(event["request"])
    if "exception" in event:
        problems = event["exception"].get("values", [])
        found["exception"] = {"values": [_problem(problem) for problem in problems]}
    if "logentry" in event:  # the line with its words in it stays out, the line itself may go
        found["logentry"] = {"message": without_mails(str(event["logentry"].get("message", "")))}
    if "spans" in event:
        found["spans"] = [_span(span) for span in event["spans"]]
    return found


def _named(words: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: words[name] for name in names if name in words}


def _request(request: dict[str, Any]) -> dict[str, Any]:
    """Method and site; the path may be somebody's name, the view tells what was asked."""
    kept = _named(request, REQUEST)
    if "url" in kept:
        parts = urlsplit(kept["url"])
        kept["url"] = f"{parts.scheme}://{parts.netloc}/"
    return kept


def _problem(problem: dict[str, Any]) -> dict[str, Any]:
    """An exception: what, its text without values, and where, without the variables there."""
    kept = _named(problem, PROBLEM)
    kept["value"] = without_values(str(problem.get("value") or ""))
    kept["mechanism"] = _named(problem.get("mechanism") or {}, MECHANISM)
    frames = (problem.get("stacktrace") or {}).get("frames", [])
    kept["stacktrace"] = {"frames": [_named(frame, FRAME) for frame in frames]}
    return kept


def _span(span: dict[str, Any]) -> dict[str, Any]:
    kept = _named(span, SPAN)
    if str(span.get("op", "")).split(".")[0] in TOLD_SPANS:
        kept["description"] = without_literals(span.get("description") or "")
    return kept
