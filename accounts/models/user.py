"""People."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.core.validators import MinLengthValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core.row_urls import row_url

USERNAME_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


class UserManager(DjangoUserManager):
    def with_login(self, login: str):
        """Return the queryset of the one person behind a name or an e-mail address, in any case.

        ``iexact`` would compare ``UPPER(...)``, which no index serves; the index on addresses
        leaves out the empty ones, and so must the question.
        """
        field = "email" if "@" in login else "username"
        people = self.alias(login=Lower(field)).filter(login=login.lower())
        return people.exclude(email="") if field == "email" else people

    def get_by_natural_key(self, username: str):
        return self.with_login(username).get()


class User(AbstractUser):
    """A reader. ``unread_count`` is derived: ``debates.notices`` moves it with its rows."""

    class MailFrequency(models.TextChoices):
        AT_ONCE = "na-hora", _("Na hora, um e-mail por aviso")
        DAILY = "diario", _("Um resumo por dia")
        WEEKLY = "semanal", _("Um resumo por semana")
        NEVER = "nunca", _("Nunca")

    username = models.CharField(
        _("nome de usuário"),
        max_length=30,
        unique=True,
        help_text=_("3 a 30 letras sem acento, números, ponto, hífen ou sublinhado."),
        validators=[
            MinLengthValidator(3),
            RegexValidator(
                rf"\A{USERNAME_PATTERN}\Z",
                _(
                    "Use letras sem acento, números, ponto, hífen ou sublinhado; comece e termine com letra ou número."
                ),
            ),
        ],
        error_messages={"unique": _("Este nome já é de outra pessoa.")},
    )
    email = models.EmailField(_("e-mail"))
    display_name = models.CharField(_("nome que aparece"), max_length=60, blank=True)
    city = models.CharField(_("cidade"), max_length=80, blank=True)
    bio = models.TextField(_("sobre você"), max_length=600, blank=True)
    # A digest unless they ask for more: nobody confirmed the address, and a lively debate
    # would fill it. The database knows both values, for releases that do not.
    mail_frequency = models.CharField(
        _("avisos por e-mail"),
        max_length=10,
        choices=MailFrequency,
        default=MailFrequency.DAILY,
        db_default=MailFrequency.DAILY,
    )
    # not Positive…: the CHECK of such a column is looked at under the lock that adds it
    unread_count = models.IntegerField(
        _("avisos não lidos"), default=0, db_default=0, editable=False
    )

    first_name = None
    last_name = None

    objects = UserManager()

    class Meta:
        verbose_name = _("leitor")
        verbose_name_plural = _("leitores")
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="user_username_once",
                violation_error_message=_("Este nome já é de outra pessoa."),
            ),
            models.UniqueConstraint(
                Lower("email"),
                condition=~Q(email=""),
                name="user_email_once",
                violation_error_message=_("Já existe uma conta com este e-mail."),
            ),
            models.CheckConstraint(
                condition=Q(mail_frequency__in=["na-hora", "diario", "semanal", "nunca"]),
                name="user_mail_frequency_is_known",
            ),
            models.CheckConstraint(
                condition=Q(unread_count__gte=0), name="user_unread_count_not_negative"
            ),
        ]
        indexes = [models.Index(fields=["date_joined"], name="user_by_joining")]

    def __str__(self) -> str:
        return self.name

    def save(self, **kwargs) -> None:
        """Leave the count of unread alone: Django's forms save the whole row they once read."""
        if not self._state.adding and kwargs.get("update_fields") is None:
            kwargs["update_fields"] = [
                field.name
                for field in self._meta.concrete_fields
                if not field.primary_key and field.name != "unread_count"
            ]
        super().save(**kwargs)

    def get_absolute_url(self) -> str:
        return row_url("accounts:profile", self.username)

    @property
    def name(self) -> str:
        """The name that pages show."""
        return self.display_name or self.username

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name

    @property
    def initial(self) -> str:
        return self.name[:1].upper()

    @property
    def unread_label(self) -> str:
        """What the bell shows: ``""`` for nothing, three characters at most."""
        return str(self.unread_count or "") if self.unread_count < 100 else "99+"

    @property
    def unread_words(self) -> str:
        """What of them there are so many, for whoever hears the bell."""
        if not self.unread_count:
            return ""
        return ngettext("não lido", "não lidos", self.unread_count)

    @property
    def ink(self) -> int:
        """Which of the eight avatar colours this person wears."""
        return self.pk % 8
