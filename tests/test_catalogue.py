"""Every word on screen is marked, and the English catalogue translates all of them."""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils import translation

from .catalogue import (
    Mark,
    Unreadable,
    listed,
    module_marks,
    module_plain_words,
    placeholders,
    source_files,
    template_marks,
    template_plain_words,
)

ENGLISH = Path(settings.LOCALE_PATHS[0]) / "en" / "LC_MESSAGES" / "django.po"
SAME_IN_ENGLISH = {
    "Debates", "debate", "debates",
    "%(minutes)d min", "%(hours)d h %(minutes)02d min", "%(hours)s h", "%(ms)s ms",
}  # fmt: skip
# Words for a terminal or a database, in English or from a data set.
NOT_ON_PAGES = {
    "benchmarks",
    "demo",
    "drills",
    "embedded",
    "imports",
    "management",
    "migrations",
    "seeding",
    "tests",
}


def english() -> polib.POFile:
    return polib.pofile(str(ENGLISH))


def key(entry: polib.POEntry | Mark) -> tuple[str | None, str]:
    """What a text is looked up by."""
    if isinstance(entry, Mark):
        return entry.context, entry.text
    return entry.msgctxt, entry.msgid


def shown(key: tuple[str | None, str], *more: str) -> str:
    context, text = key
    return " | ".join(each for each in (context, text, *more) if each)


def read_with(reader: Callable[[str, str], Iterator], path: Path) -> list:
    return list(reader(path.read_text(encoding="utf-8"), str(path.relative_to(settings.BASE_DIR))))


@cache
def marks() -> tuple[Mark | Unreadable, ...]:
    """Everything that the project marks."""
    found: list[Mark | Unreadable] = []
    for path in source_files(settings.BASE_DIR, ".py", ".html", ".txt"):
        found += read_with(module_marks if path.suffix == ".py" else template_marks, path)
    return tuple(found)


def texts(entry: polib.POEntry) -> tuple[tuple[str, str], ...]:
    """Each original of an entry with its translation."""
    if not entry.msgid_plural:
        return ((entry.msgid, entry.msgstr),)
    singular, *plurals = (entry.msgstr_plural[n] for n in sorted(entry.msgstr_plural))
    return ((entry.msgid, singular), *((entry.msgid_plural, plural) for plural in plurals))


# --- the catalogue -----------------------------------------------------------------


def test_makemessages_sees_every_mark():
    unreadable = [mark for mark in marks() if isinstance(mark, Unreadable)]
    assert not unreadable, listed(f"{mark.place}: {mark.why}" for mark in unreadable)


def test_every_marked_text_is_translated():
    entries = {key(entry): entry for entry in english() if not entry.obsolete}
    missing = []
    for mark in marks():
        if not isinstance(mark, Mark):
            continue
        entry = entries.get(key(mark))
        # One text counted here and plain there is one entry, with the plural.
        if entry is None or (mark.plural and entry.msgid_plural != mark.plural):
            missing.append(shown(key(mark), mark.plural or "", mark.place))
    assert not missing, f"run makemessages and translate:{listed(sorted(set(missing)))}"


def test_every_entry_is_translated_and_sure():
    unsure = [shown(key(each)) for each in english() if not each.translated() or each.fuzzy]
    assert not unsure, f"translate, or take the word fuzzy away:{listed(unsure)}"


def test_no_entry_is_left_over():
    used = {key(mark) for mark in marks() if isinstance(mark, Mark)}
    plural = {key(mark) for mark in marks() if isinstance(mark, Mark) and mark.plural}
    left_over = [
        shown(key(entry))
        for entry in english()
        if entry.obsolete or key(entry) not in (plural if entry.msgid_plural else used)
    ]
    assert not left_over, f"nothing says these any more:{listed(left_over)}"


def test_no_entry_stands_twice():
    keys = [key(entry) for entry in english()]
    assert len(keys) == len(set(keys)), listed(k for k in set(keys) if keys.count(k) > 1)


def test_english_keeps_placeholders_and_html():
    wrong = [
        f"{original} -> {translated}"
        for entry in english()
        for original, translated in texts(entry)
        if placeholders(original) != placeholders(translated)
    ]
    assert not wrong, listed(wrong)


def test_english_is_english():
    copied = [
        original
        for entry in english()
        for original, translated in texts(entry)
        if original == translated and original not in SAME_IN_ENGLISH
    ]
    assert not copied, listed(copied)


def test_compiled_file_holds_what_the_source_says():
    compiled = polib.mofile(str(ENGLISH.with_suffix(".mo")))
    contents = [
        {(*key(entry), entry.msgid_plural): texts(entry) for entry in catalogue}
        for catalogue in (english(), compiled)
    ]
    differing = contents[0].items() ^ contents[1].items()
    assert contents[0] == contents[1], f"run compilemessages:{listed(differing)}"
    for name in ("Language", "Plural-Forms", "Content-Type"):
        assert compiled.metadata[name] == english().metadata[name]


def test_python_and_django_read_the_compiled_file():
    with ENGLISH.with_suffix(".mo").open("rb") as file:
        words = gettext.GNUTranslations(file)
    for entry in english():
        if not entry.msgid_plural and not entry.msgctxt:
            assert words.gettext(entry.msgid) == entry.msgstr
    with translation.override("en"):
        assert translation.gettext("Quero ler") == "Want to read"
        assert translation.ngettext("%(n)s resposta", "%(n)s respostas", 1) == "%(n)s reply"
        assert translation.ngettext("%(n)s resposta", "%(n)s respostas", 2) == "%(n)s replies"


# --- words without a mark ----------------------------------------------------------


def test_templates_say_nothing_unmarked():
    found = []
    for path in source_files(settings.BASE_DIR / "templates", ".html", ".txt"):
        found += read_with(template_plain_words, path)
    assert not found, f"wrap these in translate:{listed(found)}"


def test_modules_show_nothing_unmarked():
    found = []
    for path in source_files(settings.BASE_DIR, ".py"):
        folders = path.relative_to(settings.BASE_DIR).parent.parts
        if folders and not NOT_ON_PAGES.intersection(folders):
            found += read_with(module_plain_words, path)
    assert not found, f"wrap these in gettext:{listed(found)}"


# --- the readers themselves, on made-up sources ------------------------------------

MODULE = '''
"""A docstring says _("nada")."""
from django.utils import translation
from django.utils import translation as tr
from django.utils.translation import gettext as _, gettext_lazy, gettext_noop, ngettext
from django.utils.translation import ngettext_lazy, npgettext, pgettext, pgettext_lazy
import django.utils.translation
a = _("um")
b = gettext_lazy(
    "dois "
    "pedaços"
)
c, d = gettext_noop("três"), _("com %(x)s") % {"x": _("dentro")}
e = ngettext("%(n)d gato", "%(n)d gatos", 2) + ngettext_lazy("cão", "cães", "n")
f = pgettext("verbo", "livro"), pgettext_lazy("coisa", "livro")
g = npgettext("bicho", "rato", "ratos", 3)
h = translation.gettext("módulo"), tr.pgettext("x", "apelido")
i = django.utils.translation.gettext("caminho")
def gettext_of_ours(): return other("não", _)
'''
MODULE_TEXTS = {
    (None, "um", None), (None, "dois pedaços", None), (None, "três", None),
    (None, "com %(x)s", None), (None, "dentro", None), (None, "%(n)d gato", "%(n)d gatos"),
    (None, "cão", "cães"), ("verbo", "livro", None), ("coisa", "livro", None),
    ("bicho", "rato", "ratos"), (None, "módulo", None), ("x", "apelido", None),
    (None, "caminho", None),
}  # fmt: skip
TEMPLATE = """{# {% translate "nada" %} #}{% load i18n %}
{% comment %}{% translate "nada" %}{% endcomment %}
{% translate "um" %} {% trans 'dois "aspas"' as word %} {% translate "100%" noop %}
{% translate "livro" context "verbo" %}
{% blocktranslate %}  como
está  {% endblocktranslate %}
{% blocktranslate trimmed with name=user.name other=_("dentro") %}
  Olá,
  {{ name }}: 5%.
{% endblocktranslate %}
{% blocktranslate trimmed count n=cats context "bicho" asvar words %}
{{ n }} gato{% plural %}{{ n }} gatos{% endblocktranslate %}
{% blocktrans count n=dogs %}cão{% plural %}cães{% endblocktrans %}
{{ _("variável") }} {{ value|default:_("filtro") }} {% include "a.html" with text=_("parte") %}
{% if value == _('igual') %}{% endif %}
"""
TEMPLATE_TEXTS = {
    (None, "um", None), (None, 'dois "aspas"', None), (None, "100%%", None),
    ("verbo", "livro", None), (None, "  como\nestá  ", None), (None, "dentro", None),
    (None, "Olá, %(name)s: 5%%.", None), ("bicho", "%(n)s gato", "%(n)s gatos"),
    (None, "cão", "cães"), (None, "variável", None), (None, "filtro", None),
    (None, "parte", None), (None, "igual", None),
}  # fmt: skip


def found_in(reader: Callable[[str, str], Iterator], source: str) -> set:
    return {(mark.context, mark.text, mark.plural) for mark in reader(source, "made-up.html")}


def test_extraction_reads_every_form_in_a_module():
    assert found_in(module_marks, MODULE) == MODULE_TEXTS


def test_extraction_reads_every_form_in_a_template():
    assert found_in(template_marks, TEMPLATE) == TEMPLATE_TEXTS


@pytest.mark.parametrize(
    "source",
    [
        "from django.utils.translation import gettext as _\n_(f'{x}')",
        "from django.utils.translation import gettext as _\n_(words)",
        "from django.utils.translation import gettext as say\nsay('nada')",
        "from django.utils.translation import ngettext as _\n_('um', 'dois', 2)",
        "from django.utils import translation\ntranslation.pgettext('só o contexto')",
    ],
)
def test_extraction_refuses_what_makemessages_overlooks(source):
    assert [type(mark) for mark in module_marks(source, "made_up.py")] == [Unreadable]


def test_extraction_refuses_a_variable_in_a_translate_tag():
    marked = template_marks("{% translate 'sim' %}{% translate word %}", "made-up.html")
    assert [type(mark) for mark in marked] == [Mark, Unreadable]


BAD_TEMPLATE = """{% load i18n %}<title>{% translate "Bom" %} · CGBookStore</title>
<p class="a {% if b %}c{% endif %}" data-x="y">{{ word }}: {% translate "bom" %}</p>
<p>Solto</p><script>let x = "y";</script><style>p { color: red }</style>
<p aria-label="Lido em voz alta" title="{% translate "bom" %}"></p>
{% if x %}Dentro{% else %}{% blocktranslate %}Bom <b>{{ x }}</b>{% endblocktranslate %}{% endif %}
<input type="submit" value="Enviar"><input type="text" value="bom" placeholder="Onde">
<meta name="description" content="Resumo"><meta name="viewport" content="bom">
{% include "a.html" with text="Dado" anchor="#bom" url="/bom/" label=_("bom") only %}
{{ value|default:"Padrão" }} {{ value|default:_("bom") }}
{# bom #}{% comment %}bom{% endcomment %} 5 % &amp; <b>ISBN</b>
"""
BAD_LINES = {
    "3: Solto", "4: Lido em voz alta", "5: Dentro", "6: Enviar", "6: Onde", "7: Resumo", "8: Dado",
    "9: Padrão",
}  # fmt: skip


def test_unmarked_words_in_a_template_are_found():
    found = template_plain_words(BAD_TEMPLATE, "made-up.html")
    assert set(found) == {f"made-up.html: {line}".replace(": ", ":", 1) for line in BAD_LINES}


def test_unmarked_words_in_a_mail_are_found():
    mail = '{% translate "bom" %}\n{{ protocol }}://{{ domain }}\nAtenciosamente\n'
    assert len(list(template_plain_words(mail, "mail.txt"))) == 1


BAD_MODULE = '''
"""Um módulo."""
from django.utils.translation import gettext as _
def f(form, request):
    """Não é mostrado."""
    label, form.title = "bom", "Titulo"
    form.add_error("campo", "Errado")
    messages.success(request, _("Ótimo"))
    messages.error(request, "Ruim")
    raise ValidationError("Invalido", code="bom")
class Meta:
    verbose_name = "Livro"
    verbose_name_plural = _("livros")
    error_messages = {"unique": "Repetido"}
    field = CharField("não mostrado?", label="ISBN", help_text="Ajuda", choices=[("bom", "Opcao")])
'''
BAD_WORDS = ["Ajuda", "Errado", "Invalido", "Livro", "Opcao", "Repetido", "Ruim", "não mostrado?"]


def test_unmarked_words_in_a_module_are_found():
    found = module_plain_words(BAD_MODULE, "made_up.py")
    assert sorted(line.split(": ", 1)[1] for line in found) == BAD_WORDS


@pytest.mark.parametrize(
    ("original", "translated", "agree"),
    [
        ("%(n)s de {total}", "{total} of %(n)s", True),
        ("%(n)s %%", "%(n)s%%", True),
        ("%(n)s livros", "books", False),
        ("%(n)s livros", "%(m)s books", False),
        ("%(n)d livros", "%(n)s books", False),
        ("{} livros", "books", False),
        ('<a href="/x">livro</a>', '<a href="/y">book</a>', False),
        ("<b>livro</b>", "book", False),
    ],
)
def test_placeholders_are_compared(original, translated, agree):
    assert (placeholders(original) == placeholders(translated)) is agree
