"""One's own account: sign-up, log-in, password, profile."""

from __future__ import annotations

from copy import copy

from django.contrib import messages
from django.contrib.auth import login as log_in
from django.contrib.auth import views as auth_views
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.decorators import member_required
from accounts.forms import LoginForm, PasswordResetForm, ProfileForm, SignUpForm
from core.answers import posted, safe_next
from core.ratelimit import limit


@method_decorator(limit("login"), name="dispatch")
class LoginView(auth_views.LoginView):
    """Django's own, with our form and template."""

    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True


class LogoutView(auth_views.LogoutView):
    """POST only: a link in a post cannot log anybody out."""

    http_method_names = ["post", "options"]


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@limit("sign_up")
def sign_up(request: HttpRequest) -> HttpResponse:
    """Open an account and be logged in."""
    if request.user.is_authenticated:
        return redirect("core:home")
    form = SignUpForm(posted(request))
    target = request.POST.get("next", request.GET.get("next", ""))
    if request.method == "POST" and form.is_valid():
        user = _create_user(form)
        if user is not None:
            log_in(request, user, backend="accounts.backends.UsernameOrEmailBackend")
            messages.success(request, _("Boas-vindas! A sua conta está aberta."))
            return safe_next(request, target)
    status = 422 if form.is_bound else 200
    context = {"form": form, "next": target}
    return render(request, "accounts/sign_up.html", context, status=status)


def _create_user(form: SignUpForm):
    """Return the new user, or ``None`` with an error on the form when somebody was faster."""
    user = form.save(commit=False)
    user.set_password(form.cleaned_data["password"])
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        field = "email" if "email" in str(error) else "username"
        form.add_error(field, _("Alguém acabou de ficar com este. Escolha outro."))
        return None
    return user


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@limit("edit_profile")
def edit_profile(request: HttpRequest) -> HttpResponse:
    """Change what others see of oneself, and the address for mail."""
    # a copy: a refused name must not show in the header
    form = ProfileForm(posted(request), instance=copy(request.user))
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                form.instance.save(update_fields=ProfileForm.Meta.fields)
        except IntegrityError:
            form.add_error("email", _("Já existe uma conta com este e-mail."))
        else:
            messages.success(request, _("Perfil guardado."))
            return redirect(request.user)
    status = 422 if form.is_bound else 200
    return render(request, "accounts/edit_profile.html", {"form": form}, status=status)


@method_decorator(limit("password_change"), name="dispatch")
class PasswordChangeView(auth_views.PasswordChangeView):
    template_name = "accounts/password_change.html"
    success_url = reverse_lazy("accounts:edit_profile")

    def form_valid(self, form):
        messages.success(self.request, _("Senha trocada."))
        return super().form_valid(form)


@method_decorator(limit("password_reset"), name="dispatch")
class PasswordResetView(auth_views.PasswordResetView):
    template_name = "accounts/password_reset.html"
    form_class = PasswordResetForm
    email_template_name = "emails/password_reset.txt"
    subject_template_name = "emails/password_reset_subject.txt"
    success_url = reverse_lazy("accounts:password_reset_done")


class PasswordResetDoneView(auth_views.PasswordResetDoneView):
    template_name = "accounts/password_reset_done.html"


class PasswordResetConfirmView(auth_views.PasswordResetConfirmView):
    template_name = "accounts/password_reset_confirm.html"
    success_url = reverse_lazy("accounts:login")

    def form_valid(self, form):
        messages.success(self.request, _("Senha nova guardada. Agora é só entrar."))
        return super().form_valid(form)
