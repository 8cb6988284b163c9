"""Tell the load balancer to send this machine no new readers: before a stop or a release.

``drain on`` makes /readyz of every web process here answer 503, ``drain off`` ends that. What is
asked meanwhile is answered. Granian's workers stop listening as soon as they are told to
stop, so /readyz cannot say it then.
"""

from __future__ import annotations

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Answer 503 on /readyz (on), or no longer (off)."

    def add_arguments(self, parser):
        parser.add_argument("state", choices=["on", "off"])

    def handle(self, *args, state: str, **options):
        if state == "on":
            settings.DRAIN_FILE.parent.mkdir(parents=True, exist_ok=True)
            settings.DRAIN_FILE.touch()
        else:
            settings.DRAIN_FILE.unlink(missing_ok=True)
        self.stdout.write(f"drain {state}")
