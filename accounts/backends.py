"""Who is logging in: a username or an e-mail address, in any case."""

from __future__ import annotations

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password

from core.statements import OneRow

from .models import User

_ONE = OneRow(lambda pk: User.objects.filter(pk=pk), 0)


class UsernameOrEmailBackend(ModelBackend):
    def get_user(self, user_id):
        """Return the person of a session, ``None`` if there is none or they were deactivated.

        One query, by a statement written once: it is in every request of a member.
        """
        user = _ONE.first(user_id)
        return user if user and self.user_can_authenticate(user) else None

    def authenticate(self, request, username=None, password=None, **kwargs):
        """Return the active user of ``username`` (a name or an address), or ``None``. One query."""
        if not username or password is None:
            return None
        user = User.objects.with_login(username).first()
        if user is None:
            make_password(password)  # an unknown name takes as long as a wrong password
            return None
        if user.check_password(password) and self.user_can_authenticate(user):
            return user
        return None
