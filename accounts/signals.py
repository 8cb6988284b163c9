"""Cache drops only. ``bulk_create`` and ``update`` send no signal: who writes so drops by hand."""

from __future__ import annotations

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from core import scopes

from . import cache
from .models import BookReview, User

SHOWN = {"username", "display_name", "is_active"}  # what pages of others show of a person


@receiver([post_save, post_delete], sender=User, dispatch_uid="accounts.user.cache")
def drop_people(instance, created=False, update_fields=None, **kwargs) -> None:
    """A new person stands on no page yet, and a log-in writes ``last_login`` alone."""
    if not created and (update_fields is None or SHOWN & set(update_fields)):
        cache.people_changed()


@receiver(post_save, sender=BookReview, dispatch_uid="accounts.review.saved.cache")
def drop_book(instance, **kwargs) -> None:
    scopes.book_changed(instance.book.slug)


@receiver(post_delete, sender=BookReview, dispatch_uid="accounts.review.deleted.cache")
def drop_book_of_deleted_review(instance, origin, **kwargs) -> None:
    """Reviews that go with their book or their reader say nothing: those say so themselves."""
    if getattr(origin, "model", type(origin)) is BookReview:
        scopes.book_changed(instance.book.slug)
