"""Shape of what readers tell about themselves and their books."""

from __future__ import annotations

from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.contrib.auth import forms as auth_forms
from django.contrib.auth import password_validation
from django.template.loader import render_to_string
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from core import mail
from core.forms import VisibleWords
from core.models import HALF_STARS
from core.queues import CRITICAL

from .models import BookReview, ReadingProgress, ShelfItem, User

PAGES_LIMIT = 20_000


class LoginForm(auth_forms.AuthenticationForm):
    error_messages = {
        "invalid_login": _("Nome ou senha não conferem. Maiúsculas e minúsculas contam na senha."),
    }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        field = self.fields["username"]
        field.label = _("Nome de usuário ou e-mail")
        field.max_length = field.widget.attrs["maxlength"] = 254
        self.fields["password"].label = _("Senha")
        self.fields["password"].max_length = 128


class PasswordResetForm(auth_forms.PasswordResetForm):
    """Django's own, finding the account through the index on ``LOWER(email)``."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["email"].label = _("E-mail da conta")

    def get_users(self, email):
        users = User.objects.with_login(email).filter(is_active=True)
        return (user for user in users if user.has_usable_password())

    def save(self, **options):
        """Send the mail; its link names ``SITE_URL``, not what the request said of its host."""
        if settings.SITE_URL:
            options["domain_override"] = urlsplit(settings.SITE_URL).netloc
            options["use_https"] = settings.HTTPS
        super().save(**options)

    def send_mail(self, subject_template_name, email_template_name, context, *rest, **options):
        """Write the mail down for a worker: Django would talk to the mail server in the request."""
        subject = render_to_string(subject_template_name, context)
        text = render_to_string(email_template_name, context)
        mail.post(to=context["email"], subject=subject, text=text, queue=CRITICAL)


class FreeLogin:
    """A form whose name and address must be nobody else's, in any case; says so at the field.

    The database's constraints decide in a race; their errors name no field. One query each.
    """

    def clean_username(self):
        return self._free("username", _("Este nome já é de outra pessoa."))

    def clean_email(self):
        return self._free("email", _("Já existe uma conta com este e-mail."))

    def _free(self, field, sentence):
        value = self.cleaned_data[field]
        if User.objects.with_login(value).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(sentence)
        return value


class SignUpForm(FreeLogin, forms.ModelForm):
    """A new reader; one password field, because a browser can show what was typed."""

    password = forms.CharField(
        label=_("Senha"),
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Pelo menos 8 caracteres, e não só números."),
    )

    class Meta:
        model = User
        fields = ["username", "email"]
        widgets = {
            "username": forms.TextInput(
                attrs={"autocomplete": "username", "autocapitalize": "none"}
            ),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
        }

    def clean(self):
        data = super().clean()
        if password := data.get("password"):
            self.instance.username = data.get("username", "")
            self.instance.email = data.get("email", "")
            try:
                password_validation.validate_password(password, self.instance)
            except forms.ValidationError as error:
                self.add_error("password", error)
        return data


class ProfileForm(FreeLogin, VisibleWords, forms.ModelForm):
    """What others see of oneself, the address and what it is used for; a new one needs the password."""

    visible = ("display_name",)

    current_password = forms.CharField(
        label=_("Senha atual"),
        max_length=128,
        strip=False,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text=_("Só é preciso para trocar o e-mail."),
    )

    class Meta:
        model = User
        fields = ["display_name", "city", "bio", "email", "mail_frequency"]
        widgets = {"bio": forms.Textarea(attrs={"rows": 4})}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # a form that does not name it, as that of the release before, leaves it
        self.fields["mail_frequency"].required = False

    def clean_mail_frequency(self):
        return self.cleaned_data["mail_frequency"] or self.instance.mail_frequency

    def clean(self):
        data = super().clean()
        changed = "email" in self.changed_data and "email" in data
        if changed and not self.instance.check_password(data.get("current_password", "")):
            self.add_error("current_password", _("Para trocar o e-mail, diga a sua senha atual."))
        return data


class ShelfForm(forms.Form):
    """Where to keep a book; empty takes it off the shelf."""

    status = forms.ChoiceField(
        choices=[("", _("fora da estante")), *ShelfItem.Status.choices],
        required=False,
        label=_("Na estante"),
    )


class ProgressForm(forms.ModelForm):
    """A page of an edition, or a percentage."""

    percent = forms.IntegerField(
        min_value=0, max_value=100, required=False, label=_("Porcentagem lida")
    )
    page = forms.IntegerField(min_value=0, max_value=PAGES_LIMIT, required=False, label=_("Página"))
    pages = forms.IntegerField(
        min_value=1, max_value=PAGES_LIMIT, required=False, label=_("de quantas páginas")
    )

    class Meta:
        model = ReadingProgress
        fields = ["page", "pages", "percent"]

    def clean(self):
        data = super().clean()
        page, pages, percent = data.get("page"), data.get("pages"), data.get("percent")
        if self.errors:
            return data
        if page is None:
            data["pages"] = None
            if percent is None:
                self.add_error("percent", _("Diga a página ou a porcentagem."))
            return data
        if pages is None:
            self.add_error("pages", _("Quantas páginas tem a sua edição?"))
        elif page > pages:
            self.add_error("page", _("A página passa do fim do livro."))
        else:
            data["percent"] = page * 100 // pages
        return data


def _rating_choices() -> list[tuple[str, str]]:
    """Five stars first, each number as the reader's language writes it."""
    marks = [
        (str(halves), f"{number_format(halves / 2, decimal_pos=1)} ★")
        for halves in range(HALF_STARS, 0, -1)
    ]
    return [("", _("escolha")), *marks]


class ReviewForm(VisibleWords, forms.ModelForm):
    visible = ("text",)

    rating = forms.TypedChoiceField(
        label=_("Nota"),
        coerce=int,
        choices=_rating_choices,
        error_messages={"required": _("Escolha de meia a cinco estrelas.")},
    )

    class Meta:
        model = BookReview
        fields = ["rating", "text", "has_spoiler"]
        widgets = {"text": forms.Textarea(attrs={"rows": 8})}
