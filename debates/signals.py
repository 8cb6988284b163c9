"""Cache drops only. ``bulk_create`` and ``update`` send no signal: who writes so drops by hand."""

from __future__ import annotations

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from . import cache
from .models import DebatePost, DebateTopic


@receiver([post_save, post_delete], sender=DebateTopic, dispatch_uid="debates.topic.cache")
def drop_topic(instance, **kwargs) -> None:
    cache.topic_changed(instance)


@receiver(post_save, sender=DebatePost, dispatch_uid="debates.post.saved.cache")
def drop_topic_of_post(instance, **kwargs) -> None:
    cache.topic_changed(instance.topic)


@receiver(post_delete, sender=DebatePost, dispatch_uid="debates.post.deleted.cache")
def drop_topic_of_deleted_post(instance, origin, **kwargs) -> None:
    """Posts that go with their debate say nothing: the debate is gone, and says so itself."""
    if getattr(origin, "model", type(origin)) is DebatePost:
        cache.topic_changed(instance.topic)
