"""create_post: a reply to somebody who is gone by the time it is sent."""

from __future__ import annotations

import pytest
from django.test import TestCase
from django.urls import reverse

from debates import services
from debates.models import DebatePost
from tests.factories import make_post, make_topic, make_user


class GoneParentTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.topic = make_topic()
        cls.gone = make_post(cls.topic)
        services.delete_post(post=cls.gone, actor=cls.gone.author)
        cls.url = reverse("debates:create_post", args=[cls.topic.slug])

    def setUp(self):
        self.client.force_login(make_user())
        self.odd = (
            self.gone.pk, make_post().pk, 999_999, "abc", "²", "9" * 30, "-1", "a\x00b",
        )  # fmt: skip

    def test_what_was_typed_is_kept_and_why_it_was_not_taken_is_said(self):
        for parent in self.odd:
            with self.subTest(parent):
                words = {"content": "O que eu escrevi", "spoiler_percent": 7, "parent": parent}
                response = self.client.post(self.url, words)
                self.assertContains(response, "O que eu escrevi", status_code=422)
                assert response.context["form"].errors
                assert response.context["form"]["spoiler_percent"].value() == "7"
        assert not DebatePost.objects.filter(content="O que eu escrevi").exists()

    def test_sent_again_it_answers_the_debate(self):
        words = {"content": "Ainda quero dizer", "spoiler_percent": 0, "parent": self.gone.pk}
        form = self.client.post(self.url, words).context["form"]
        again = {field.name: field.value() for field in form}
        assert self.client.post(self.url, again).status_code == 302
        assert DebatePost.objects.get(content="Ainda quero dizer").parent is None

    def test_a_form_for_somebody_who_is_gone_is_404(self):
        for parent in self.odd:
            with self.subTest(parent):
                assert self.client.get(self.url, {"parent": parent}).status_code == 404


@pytest.mark.django_db
def test_a_parent_that_is_there_stays_in_a_refused_form(client):
    client.force_login(make_user())
    post = make_post()
    url = reverse("debates:create_post", args=[post.topic.slug])
    form = client.post(url, {"content": "", "parent": post.pk}).context["form"]
    assert form["parent"].value() == str(post.pk)
