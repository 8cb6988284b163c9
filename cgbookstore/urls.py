"""Every address of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from debates.views.staff import staff_overview

urlpatterns = [
    path("", include("core.urls")),
    path("", include("accounts.urls")),
    path("", include("debates.urls")),
    path("equipe/", staff_overview, name="staff_overview"),
    path("admin/", admin.site.urls),
]
handler404 = "core.refusals.page_not_found"
handler500 = "core.refusals.server_error"

if settings.DEBUG_TOOLBAR:
    from debug_toolbar.toolbar import debug_toolbar_urls

    urlpatterns += debug_toolbar_urls()
