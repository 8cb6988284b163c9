from django.urls import path, register_converter

from core.converters import IdConverter

from .views import notifications, posts, topics

register_converter(IdConverter, "id")

app_name = "debates"
urlpatterns = [
    path("debates/", topics.debates_list, name="debates_list"),
    path("debates/novo/", topics.create_topic, name="create_topic"),
    path("debates/topico/<slug:slug>/", topics.topic_detail, name="topic_detail"),
    path("debates/topico/<slug:slug>/responder/", posts.create_post, name="create_post"),
    path("debates/topico/<slug:slug>/editar/", topics.edit_topic, name="edit_topic"),
    path("debates/topico/<slug:slug>/apagar/", topics.delete_topic, name="delete_topic"),
    path("debates/topico/<slug:slug>/moderar/", topics.moderate_topic, name="moderate_topic"),
    path("debates/topico/<slug:slug>/seguir/", notifications.follow_topic, name="follow_topic"),
    path("livros/<slug:slug>/seguir/", notifications.follow_book, name="follow_book"),
    path("debates/post/<id:post_id>/", posts.post_permalink, name="post_permalink"),
    path("debates/post/<id:post_id>/editar/", posts.edit_post, name="edit_post"),
    path("debates/post/<id:post_id>/apagar/", posts.delete_post, name="delete_post"),
    path("debates/post/<id:post_id>/votar/", posts.vote_post, name="vote_post"),
    path("debates/post/<id:post_id>/moderar/", posts.moderate_post, name="moderate_post"),
    path("conta/avisos/", notifications.notifications, name="notifications"),
    path("conta/avisos/lidos/", notifications.read_notifications, name="read_notifications"),
    path("conta/avisos/sair/", notifications.unsubscribe, name="unsubscribe"),
    path(
        "conta/avisos/<id:notification_id>/",
        notifications.open_notification,
        name="open_notification",
    ),
]
