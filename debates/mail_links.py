"""Links of the mails: absolute, and two that act for whoever holds them, without a log-in."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

# The address of a site that was not told its own: this machine's, in development.
HERE = "http://localhost:8000"
_signer = Signer(salt="debates.mail_links")


def absolute(path: str) -> str:
    return f"{settings.SITE_URL or HERE}{path}"


def stop_mails(user_id: int) -> str:
    """Return the address that ends the mails of this reader's notifications. It never expires."""
    return _link([user_id])


def mute_topic(user_id: int, topic_id: int) -> str:
    """Return the address that mutes one debate for this reader."""
    return _link([user_id, topic_id])


def mute_book(user_id: int, book_id: int) -> str:
    """Return the address that mutes the debates on one book for this reader."""
    return _link([user_id, None, book_id])


def read(token: str) -> tuple[int, int | None, int | None]:
    """Return reader, debate and book of a link (neither: all mails); raises ``BadSignature``."""
    found = _signer.unsign_object(token)
    if not isinstance(found, list) or len(found) not in {1, 2, 3}:
        raise BadSignature("another kind of link")
    user_id, topic_id, book_id = [*found, None, None][:3]
    return user_id, topic_id, book_id


def _link(words: list[int | None]) -> str:
    query = urlencode({"t": _signer.sign_object(words)})
    return absolute(f"{reverse('debates:unsubscribe')}?{query}")
