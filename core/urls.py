from django.urls import path

from . import health, views
from .metrics.views import metrics

app_name = "core"
urlpatterns = [
    path("", views.home, name="home"),
    path("livros/", views.book_list, name="book_list"),
    path("livros/<slug:slug>/", views.book_detail, name="book_detail"),
    path("autores/<slug:slug>/", views.author_detail, name="author_detail"),
    path("categorias/<slug:slug>/", views.category_detail, name="category_detail"),
    path("busca/", views.search, name="search"),
    path("idioma/<str:code>/", views.set_language, name="set_language"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
]
