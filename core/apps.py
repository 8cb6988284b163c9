from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = "Acervo"

    def ready(self) -> None:
        from . import checks  # noqa: F401  registers itself
