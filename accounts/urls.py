from django.urls import path, register_converter

from .converters import UsernameConverter
from .views import account, reading

register_converter(UsernameConverter, "username")

app_name = "accounts"
urlpatterns = [
    path("conta/", account.edit_profile, name="edit_profile"),
    path("conta/criar/", account.sign_up, name="sign_up"),
    path("conta/entrar/", account.LoginView.as_view(), name="login"),
    path("conta/sair/", account.LogoutView.as_view(), name="logout"),
    path("conta/senha/", account.PasswordChangeView.as_view(), name="password_change"),
    path("conta/senha/nova/", account.PasswordResetView.as_view(), name="password_reset"),
    path(
        "conta/senha/enviada/", account.PasswordResetDoneView.as_view(), name="password_reset_done"
    ),
    path(
        "conta/senha/<uidb64>/<token>/",
        account.PasswordResetConfirmView.as_view(),
        name="password_reset_confirm",
    ),
    path("leitores/<username:username>/", reading.profile, name="profile"),
    path("livros/<slug:slug>/estante/", reading.shelve_book, name="shelve_book"),
    path("livros/<slug:slug>/progresso/", reading.record_progress, name="record_progress"),
    path("livros/<slug:slug>/resenha/", reading.edit_review, name="edit_review"),
    path("livros/<slug:slug>/resenha/apagar/", reading.delete_review, name="delete_review"),
]
