"""What the floors above put on core's pages.

core imports neither accounts nor debates, yet a book's page shows its reviews and debates.
Each floor registers a function for a page in its own ``sections.py``; the view calls
``collect`` once. A section runs a fixed number of queries and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from .pages import Marks

Section = Callable[..., dict[str, Any]]
_sections: dict[str, list[Section]] = {}
_scopes: dict[str, list[str]] = {}
_marks: dict[str, list[Marks]] = {}


def section(page: str, *scopes: str) -> Callable[[Section], Section]:
    """Register a function ``(request, **subject) -> context`` for ``page``.

    ``scopes`` names what makes its part of the page stale.
    """

    def register(function: Section) -> Section:
        _sections.setdefault(page, []).append(function)
        known = _scopes.setdefault(page, [])
        known.extend(scope for scope in scopes if scope not in known)
        return function

    return register


def collect(page: str, request: HttpRequest, **subject) -> dict[str, Any]:
    """Return the joined context of all sections of ``page``. A name may be given only once."""
    context: dict[str, Any] = {}
    for function in _sections.get(page, []):
        part = function(request, **subject)
        if clash := context.keys() & part.keys():
            raise ValueError(f"two sections of {page} give {sorted(clash)}")
        context |= part
    return context


def scopes_of(page: str) -> list[str]:
    """Return what makes the sections of ``page`` stale."""
    return _scopes.get(page, [])


def section_marks(page: str) -> Callable[[Marks], Marks]:
    """Register what of ``page`` is a member's own; ``core.pages.PublicPage`` says how it is called."""

    def register(function: Marks) -> Marks:
        _marks.setdefault(page, []).append(function)
        return function

    return register


def marks_of(page: str) -> Marks:
    """Return the joined marks of all sections of ``page``, those registered later too."""

    def marks(request: HttpRequest, note: dict[str, Any], csrf_token: str) -> dict[str, str]:
        own: dict[str, str] = {}
        for function in _marks.get(page, []):
            own |= function(request, note, csrf_token)
        return own

    return marks
