"""The languages a book may be written in: ISO 639-1 codes with Portuguese names."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

LANGUAGE_CHOICES = [
    ("ar", _("árabe")),
    ("zh", _("chinês")),
    ("da", _("dinamarquês")),
    ("es", _("espanhol")),
    ("fil", _("filipino")),
    ("fr", _("francês")),
    ("el", _("grego")),
    ("he", _("hebraico")),
    ("nl", _("holandês")),
    ("hu", _("húngaro")),
    ("id", _("indonésio")),
    ("en", _("inglês")),
    ("it", _("italiano")),
    ("ja", _("japonês")),
    ("la", _("latim")),
    ("ms", _("malaio")),
    ("no", _("norueguês")),
    ("fa", _("persa")),
    ("pl", _("polonês")),
    ("pt", _("português")),
    ("ro", _("romeno")),
    ("ru", _("russo")),
    ("sv", _("sueco")),
    ("cs", _("tcheco")),
    ("tr", _("turco")),
    ("vi", _("vietnamita")),
    ("de", _("alemão")),
]
LANGUAGE_NAMES = dict(LANGUAGE_CHOICES)

# ISO 639-2 and regional spellings that data sets use.
_ALIASES = {
    "eng": "en", "por": "pt", "spa": "es", "fre": "fr", "fra": "fr", "ger": "de", "deu": "de",
    "ita": "it", "jpn": "ja", "ara": "ar", "per": "fa", "fas": "fa", "nl": "nl", "dut": "nl",
    "nld": "nl", "nor": "no", "nob": "no", "swe": "sv", "dan": "da", "rus": "ru", "pol": "pl",
    "tur": "tr", "vie": "vi", "ind": "id", "rum": "ro", "ron": "ro", "heb": "he", "lat": "la",
    "chi": "zh", "zho": "zh", "cze": "cs", "ces": "cs", "gre": "el", "ell": "el", "hun": "hu",
    "may": "ms", "msa": "ms",
}  # fmt: skip


def language_code(text: str) -> str:
    """Return the code for ``eng``, ``en-US``, ``pt_BR`` and the like; ``""`` for anything else."""
    code = text.strip().lower().replace("_", "-").partition("-")[0]
    code = _ALIASES.get(code, code)
    return code if code in LANGUAGE_NAMES else ""
