"""Shape of what is said in debates."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from core.converters import as_id
from core.forms import SlugChoiceField, VisibleWords
from core.models import Book

from .models import DebatePost, DebateTopic, Follow


def _spoiler_field() -> forms.IntegerField:
    return forms.IntegerField(
        # xgettext:no-python-format
        label=_("Spoilers até (% do livro)"),
        min_value=0,
        max_value=100,
        initial=0,
        help_text=_("0 quando não conta nada do enredo."),
    )


class TopicForm(VisibleWords, forms.ModelForm):
    """A debate's opening words."""

    visible = ("title", "description")
    markdown = ("description",)

    spoiler_percent = _spoiler_field()

    class Meta:
        model = DebateTopic
        fields = ["title", "description", "spoiler_percent"]
        widgets = {"description": forms.Textarea(attrs={"rows": 8})}
        help_texts = {"description": _("Aceita Markdown: *itálico*, **negrito**, > citação.")}


class NewTopicForm(TopicForm):
    """A new debate stands on a book, chosen before."""

    livro = SlugChoiceField(
        Book.objects.all(),
        error_messages={
            "required": _("Escolha o livro do debate."),
            "invalid_choice": _("Este livro não está no acervo."),
        },
    )

    field_order = ["livro", "title", "description", "spoiler_percent"]


class PostForm(VisibleWords, forms.ModelForm):
    """A reply."""

    visible = ("content",)
    markdown = ("content",)

    spoiler_percent = _spoiler_field()

    class Meta:
        model = DebatePost
        fields = ["content", "spoiler_percent"]
        labels = {"content": _("Sua resposta")}
        widgets = {"content": forms.Textarea(attrs={"rows": 6})}
        help_texts = {"content": _("Aceita Markdown: *itálico*, **negrito**, > citação.")}


class ReplyForm(VisibleWords, forms.Form):
    """A new reply. Not a ``ModelForm``: that would put each constraint of the row to Postgres."""

    visible = ("content",)
    markdown = ("content",)

    content = PostForm.base_fields["content"]
    spoiler_percent = _spoiler_field()
    parent = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)

    def __init__(self, *args, topic: DebateTopic, **kwargs):
        super().__init__(*args, **kwargs)
        self.topic = topic

    def clean_parent(self) -> DebatePost | None:
        """The post of this debate that is answered; one query if there is one."""
        text = self.cleaned_data["parent"]
        if not text:
            return None
        known = DebatePost.objects.published().filter(topic=self.topic)
        parent = known.filter(pk=as_id(text)).first()
        if parent is None:
            raise forms.ValidationError(_("A resposta que você respondia não existe mais."))
        return parent


class VoteForm(forms.Form):
    """The vote that is wanted, not a toggle: sending it twice changes nothing."""

    value = forms.TypedChoiceField(choices=[("1", "+1"), ("0", "0"), ("-1", "-1")], coerce=int)


class FollowForm(forms.Form):
    """Follow, mute, or neither: the state that is wanted, not a toggle."""

    state = forms.ChoiceField(choices=Follow.State.choices, required=False)


class ReadForm(forms.Form):
    """Whose notifications were read: those of a debate, or all."""

    topic = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    next = forms.CharField(max_length=300, required=False)  # where to go on


class TopicFilterForm(forms.Form):
    livro = SlugChoiceField(Book.objects.only("title", "slug"), required=False)


class BookSearchForm(forms.Form):
    q = forms.CharField(max_length=100, required=False, label=_("Livro"))


class TopicModerationForm(forms.Form):
    action = forms.ChoiceField(
        choices=[(name, name) for name in ("pin", "unpin", "lock", "unlock", "hide", "restore")]
    )


class PostModerationForm(forms.Form):
    action = forms.ChoiceField(
        choices=[(name, name) for name in ("lock", "unlock", "hide", "restore")]
    )
