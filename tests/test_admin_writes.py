"""Writes in the admin: who may act, and derived data that stays true."""

from __future__ import annotations

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.db.models.signals import pre_save

from accounts.models import BookReview, ReadingProgress, ShelfItem, User
from accounts.services import write_review
from core.models import Author, Book
from debates import services
from debates.models import DebatePost, DebateTopic, DebateVote

from .clock import stop_clock
from .factories import (
    PASSWORD,
    make_author,
    make_book,
    make_category,
    make_post,
    make_staff,
    make_topic,
    make_user,
)
from .test_admin import AdminTestCase, moderator, page

pytestmark = pytest.mark.lenient_templates


class ActionTests(AdminTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.topic = make_topic()
        cls.post = make_post(cls.topic)

    def test_staff_with_the_permission_moderate_and_leave_a_note(self):
        self.client.force_login(moderator("change_debatetopic", "change_debatepost"))
        for row, action, flag, value in [
            (self.topic, "pin", "is_pinned", True), (self.topic, "unpin", "is_pinned", False),
            (self.topic, "lock", "is_locked", True), (self.topic, "unlock", "is_locked", False),
            (self.topic, "hide", "is_deleted", True), (self.topic, "restore", "is_deleted", False),
            (self.post, "lock", "is_locked", True), (self.post, "unlock", "is_locked", False),
            (self.post, "hide", "is_deleted", True), (self.post, "restore", "is_deleted", False),
        ]:  # fmt: skip
            with self.subTest(row=row, action=action):
                notes = LogEntry.objects.count()
                assert self.act(type(row), action, row).status_code == 200
                row.refresh_from_db()
                assert getattr(row, flag) is value
                assert (row.deleted_at is not None) is row.is_deleted
                assert LogEntry.objects.count() == notes + 1
                self.act(type(row), action, row)
                assert LogEntry.objects.count() == notes + 1  # a repeat changes nothing

    def test_hiding_a_reply_keeps_the_counters_of_its_debate(self):
        first, last = self.post, make_post(self.topic)
        self.act(DebatePost, "hide", last)
        self.topic.refresh_from_db()
        assert (self.topic.posts_count, self.topic.last_post) == (1, first)
        self.act(DebatePost, "restore", last)
        self.topic.refresh_from_db()
        assert (self.topic.posts_count, self.topic.last_post) == (2, last)
        assert services.sync_topic(self.topic.pk) == {}

    def test_staff_without_the_permission_and_members_change_nothing(self):
        viewer, nobody = moderator("view_debatetopic"), make_staff(is_superuser=False)
        for user, status in [(viewer, 200), (nobody, 403), (make_user(), 200), (None, 200)]:
            self.client.force_login(user) if user else self.client.logout()
            response = self.act(DebateTopic, "pin", self.topic)
            assert response.status_code == status
            if user is None or not user.is_staff:
                assert response.redirect_chain[0][0].startswith("/admin/login/")
        self.topic.refresh_from_db()
        assert not self.topic.is_pinned

    def test_an_action_takes_what_is_marked_and_never_the_whole_list(self):
        other = make_topic()
        for values in (
            {"select_across": "1"},
            {ACTION_CHECKBOX_NAME: ["x"]},
            {ACTION_CHECKBOX_NAME: ["9" * 5_000]},
        ):
            self.act(DebateTopic, "pin", self.topic, **values)
        assert not DebateTopic.objects.filter(is_pinned=True).exists()
        self.act(DebateTopic, "pin", self.topic)
        assert list(DebateTopic.objects.filter(is_pinned=True)) == [self.topic]
        assert other.pk != self.topic.pk


class DerivedDataTests(AdminTestCase):
    """What follows from a row follows from it after a save in the admin, too."""

    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.book = make_book(title="Memorial", authors=[make_author(name="José Saramago")])
        cls.topic = make_topic(book=cls.book)
        cls.post = make_post(cls.topic)

    def test_a_reworded_debate_or_reply_is_rendered_and_dated(self):
        slug, creator = self.topic.slug, self.topic.creator
        self.save(self.topic, title="Outro título", description="Agora **sim**.")
        self.topic.refresh_from_db()
        assert self.topic.description_html == "<p>Agora <strong>sim</strong>.</p>\n"
        assert (self.topic.folded_title, self.topic.slug) == ("outro titulo", slug)
        assert self.topic.edited_at and self.topic.creator == creator
        self.save(self.post, content="<script>x</script> *não*")
        self.post.refresh_from_db()
        assert "<em>não</em>" in self.post.content_html and "<script" not in self.post.content_html
        assert self.post.edited_at

    def test_a_spoiler_mark_alone_is_no_rewording(self):
        self.save(self.post, spoiler_percent=60)
        self.post.refresh_from_db()
        assert (self.post.spoiler_percent, self.post.edited_at) == (60, None)

    def test_flags_authors_and_counters_cannot_be_typed(self):
        other = make_user()
        self.save(
            self.post,
            is_deleted="on",
            is_locked="on",
            author=other.pk,
            score=9,
            replies_count=9,
            topic=1,
        )
        self.save(
            self.topic, is_deleted="on", is_pinned="on", creator=other.pk, posts_count=9, slug="x"
        )
        for row in (self.post, self.topic):
            before = type(row).objects.filter(pk=row.pk).values().get()
            row.refresh_from_db()
            assert not (row.is_deleted or row.is_locked)
            assert before == type(row).objects.filter(pk=row.pk).values().get()
        assert (self.topic.posts_count, self.topic.is_pinned, self.post.score) == (1, False, 0)
        assert other not in {self.topic.creator, self.post.author}

    def test_a_save_leaves_alone_what_moved_while_the_form_was_open(self):
        review = write_review(
            user=make_user(), book=self.book, rating=8, text="", has_spoiler=False
        )
        rows = {
            self.topic: ({"posts_count": 70}, {"title": "Novo"}),
            self.post: ({"score": 70}, {"content": "Novo"}),
            self.book: ({"reviews_count": 70}, {"title": "Novo"}),
            review.user: ({"password": "novo"}, {"city": "Novo"}),
        }
        for row, (moved, typed) in rows.items():

            def move(sender, instance, row=row, moved=moved, **kwargs):
                sender.objects.filter(pk=row.pk).update(**moved)

            pre_save.connect(move, sender=type(row))
            try:
                assert self.save(row, **typed).status_code == 302
            finally:
                pre_save.disconnect(move, sender=type(row))
            assert type(row).objects.filter(pk=row.pk, **moved, **typed).exists(), row

    def test_reviews_are_rendered_and_counted_when_added_changed_and_deleted(self):
        reader, data = make_user(), {"rating": "8", "text": "*Boa*"}
        path = page(BookReview, "add")
        assert self.send(path, {**data, "user": reader.pk, "book": self.book.pk}).status_code == 302
        assert self.send(path, {**data, "user": reader.pk, "book": self.book.pk}).status_code == 200
        review = BookReview.objects.get()
        self.book.refresh_from_db()
        assert review.text_html == "<p><em>Boa</em></p>\n"
        assert (self.book.reviews_count, self.book.rating_histogram[7]) == (1, 1)
        self.save(review, rating="2", text="**Má**")
        review.refresh_from_db()
        self.book.refresh_from_db()
        assert review.text_html == "<p><strong>Má</strong></p>\n" and review.edited_at
        assert (self.book.rating_histogram[1], self.book.rating_histogram[7]) == (1, 0)
        self.client.post(page(BookReview, "delete", review.pk), {"post": "yes"})
        self.book.refresh_from_db()
        assert (self.book.reviews_count, sum(self.book.rating_histogram)) == (0, 0)

    def test_reviews_deleted_together_are_counted(self):
        books = [self.book, make_book()]
        reviews = [
            write_review(user=make_user(), book=book, rating=8, text="", has_spoiler=False)
            for book in books * 2
        ]
        self.act(BookReview, "delete_selected", *reviews[:3], post="yes")
        assert list(BookReview.objects.all()) == reviews[3:]
        for book, count in zip(books, (0, 1), strict=True):
            book.refresh_from_db()
            assert (book.reviews_count, sum(book.rating_histogram)) == (count, count)

    def test_deleted_votes_leave_the_score(self):
        other = make_post(self.topic)
        for post, value in [(self.post, 1), (self.post, 1), (self.post, -1), (other, 1)]:
            services.vote_post(post=post, user=make_user(), value=value)
        votes = list(DebateVote.objects.order_by("pk"))
        self.client.post(page(DebateVote, "delete", votes[0].pk), {"post": "yes"})
        self.post.refresh_from_db()
        assert self.post.score == 0
        self.act(DebateVote, "delete_selected", votes[2], votes[3], post="yes")
        assert services.sync_topic(self.topic.pk) == {}
        self.post.refresh_from_db()
        other.refresh_from_db()
        assert (self.post.score, other.score) == (1, 0)

    def test_a_renamed_author_and_new_credits_reach_the_book(self):
        author = self.book.authors.get()
        self.save(author, name="José de Sousa Saramago")
        self.book.refresh_from_db()
        assert self.book.byline == "José de Sousa Saramago"
        assert "jose de sousa saramago" in self.book.search_text
        second = make_author(name="Pilar del Río")
        self.save(self.book, **{"credits-1-author": second.pk, "credits-1-position": 1})
        self.book.refresh_from_db()
        assert self.book.byline == "José de Sousa Saramago, Pilar del Río"
        self.save(self.book, **{"credits-0-DELETE": "on", "original_title": "Memorial do convento"})
        self.book.refresh_from_db()
        assert self.book.byline == "Pilar del Río"
        assert self.book.search_text == "memorial memorial do convento pilar del rio"

    def test_new_catalogue_rows_get_an_address_of_their_own_that_stays(self):
        for model, name, values in [
            (Author, "name", {}),
            (Book, "title", {"credits-TOTAL_FORMS": 0}),
        ]:
            for _time in range(2):
                assert self.send(page(model, "add"), {name: "!!!", **values}).status_code == 302
            slugs = list(model.objects.filter(**{name: "!!!"}).values_list("slug", flat=True))
            assert len(set(slugs)) == 2 and all(slugs)
            row = model.objects.filter(slug=slugs[0]).get()
            self.save(row, **{name: "Outro nome", "slug": "outro"})
            assert model.objects.get(pk=row.pk).slug == slugs[0]

    def test_an_isbn_is_taken_with_hyphens_and_refused_when_it_is_none(self):
        assert self.save(self.book, isbn13="978-85-359-0277-8").status_code == 302
        self.book.refresh_from_db()
        assert self.book.isbn13 == "9788535902778"
        refused = self.save(self.book, isbn13="123")
        assert list(refused.context["adminform"].errors) == ["isbn13"]
        assert self.save(self.book, isbn13="").status_code == 302
        self.book.refresh_from_db()
        assert self.book.isbn13 is None

    def test_progress_reckons_the_percentage_and_dates_it(self):
        progress = ReadingProgress.objects.create(user=make_user(), book=self.book, percent=10)
        before = progress.updated_at
        self.save(progress, page=50, pages=200)
        progress.refresh_from_db()
        assert (progress.percent, progress.page) == (25, 50)
        assert progress.updated_at > before
        assert self.save(progress, page=500, pages=200).status_code == 200

    def test_what_books_hold_is_counted_before_they_are_deleted(self):
        loved, unread, category = make_book(), make_book(), make_category()
        category.books.add(loved, unread)
        for _reader in range(3):
            ShelfItem.objects.create(user=make_user(), book=loved, status="lido")
        counts = self.client.get(page(Book, "delete", loved.pk)).context["model_count"]
        assert {str(name): count for name, count in counts}["livros na estante"] == 3
        self.client.force_login(moderator("view_book", "delete_book"))
        assert self.client.post(page(Book, "delete", loved.pk), {"post": "yes"}).status_code == 403
        assert (
            self.client.post(page(Book, "delete", self.book.pk), {"post": "yes"}).status_code == 200
        )
        assert self.client.post(page(Book, "delete", unread.pk), {"post": "yes"}).status_code == 302
        assert set(Book.objects.all()) == {loved, self.book}


class PeopleTests(AdminTestCase):
    def test_a_new_reader_can_log_in_and_names_differ_in_more_than_case(self):
        words = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        path = page(User, "add")
        person = {"username": "nova.leitora", "email": "nova@example.com", **words}
        assert self.client.post(path, person).status_code == 302
        assert User.objects.get(username="nova.leitora").check_password(PASSWORD)
        twin = {**person, "username": "Nova.Leitora", "email": "outra@example.com"}
        assert self.client.post(path, twin).status_code == 200
        assert (
            self.client.post(
                path, {**twin, "username": "outra", "email": "NOVA@example.com"}
            ).status_code
            == 200
        )
        assert User.objects.filter(username__icontains="leitora").count() == 1

    def test_rights_are_given_by_superusers_only(self):
        helper, member = moderator("view_user", "change_user", "add_user"), make_user()
        rights = {"is_staff": "on", "is_superuser": "on", "city": "Natal"}
        self.client.force_login(helper)
        for user in (helper, member):
            self.save(user, **rights)
            user.refresh_from_db()
            assert user.city == "Natal"
        assert (member.is_staff, helper.is_superuser) == (False, False)
        password = f"/admin/accounts/user/{self.staff.pk}/password/"
        assert self.client.get(password).status_code == 403
        assert (
            self.client.post(page(User, "change", self.staff.pk), {"city": "x"}).status_code == 403
        )
        self.client.force_login(self.staff)
        self.save(member, **rights)
        member.refresh_from_db()
        assert member.is_staff and member.is_superuser

    def test_guessing_staff_passwords_is_limited_like_any_login(self):
        stop_clock(self)
        self.client.logout()
        script = {"headers": {"accept": "application/json"}}
        attempts = [
            self.client.post(
                "/admin/login/", {"username": "x", "password": "y"}, **script
            ).status_code
            for _attempt in range(12)
        ]
        assert attempts[0] == 200
        assert attempts[-1] == 429
