"""Cache drops only. ``bulk_create`` and ``update`` send no signal: who writes so drops by hand."""

from __future__ import annotations

from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import receiver

from . import scopes
from .models import Author, Book, BookAuthor, Category


@receiver([post_save, post_delete], sender=Author, dispatch_uid="core.author.cache")
@receiver([post_save, post_delete], sender=Category, dispatch_uid="core.category.cache")
@receiver([post_save, post_delete], sender=Book, dispatch_uid="core.book.cache")
@receiver([post_save, post_delete], sender=BookAuthor, dispatch_uid="core.credit.cache")
@receiver(m2m_changed, sender=Book.categories.through, dispatch_uid="core.categories.cache")
def drop_catalogue(**kwargs) -> None:
    scopes.catalogue_changed()
