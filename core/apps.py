from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = _("Acervo")

    def ready(self) -> None:
        from . import checks, redis, signals  # noqa: F401  the others register themselves

        redis.keep_connections()
