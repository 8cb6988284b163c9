"""When each queue was last served."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """The last time a worker did something that Beat had sent through ``queue``."""

    queue = models.CharField(primary_key=True, max_length=40)
    beaten_at = models.DateTimeField()

    class Meta:
        default_permissions = ()  # nobody's to see or change

    def __str__(self) -> str:
        return f"{self.queue}: {self.beaten_at:%H:%M:%S}"
