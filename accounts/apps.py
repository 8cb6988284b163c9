from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Leitores"

    def ready(self) -> None:
        from . import sections  # noqa: F401  registers itself
