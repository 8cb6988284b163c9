from django.urls import path, register_converter

from core.converters import IdConverter

from .views import posts, topics

register_converter(IdConverter, "id")

app_name = "debates"
urlpatterns = [
    path("", topics.debates_list, name="debates_list"),
    path("novo/", topics.create_topic, name="create_topic"),
    path("topico/<slug:slug>/", topics.topic_detail, name="topic_detail"),
    path("topico/<slug:slug>/responder/", posts.create_post, name="create_post"),
    path("topico/<slug:slug>/editar/", topics.edit_topic, name="edit_topic"),
    path("topico/<slug:slug>/apagar/", topics.delete_topic, name="delete_topic"),
    path("topico/<slug:slug>/moderar/", topics.moderate_topic, name="moderate_topic"),
    path("post/<id:post_id>/", posts.post_permalink, name="post_permalink"),
    path("post/<id:post_id>/editar/", posts.edit_post, name="edit_post"),
    path("post/<id:post_id>/apagar/", posts.delete_post, name="delete_post"),
    path("post/<id:post_id>/votar/", posts.vote_post, name="vote_post"),
    path("post/<id:post_id>/moderar/", posts.moderate_post, name="moderate_post"),
]
