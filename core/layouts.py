"""The text of a member's page, and where in it the member's own goes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

CSRF = "=csrf"
Span = tuple[int, int]  # the numbers of the marks that open and close a spot


class Layout:
    """A page as bytes and its marks: a member costs their own words, not the length of the page.

    ``marks`` are names and places (bytes) in the order of the page: ``+name`` opens a spot,
    ``-name`` closes it, ``CSRF`` is where the token goes. Kept by the hundred, so it is made
    of few objects.
    """

    __slots__ = ("_places", "_spots", "_tokens", "text")

    def __init__(self, text: bytes, marks: Sequence[tuple[str, int]]):
        self.text = text
        self._places = array("I", [place for _name, place in marks])
        self._places.append(len(text))  # what is not closed ends with the page
        self._tokens = array("I", [n for n, mark in enumerate(marks) if mark[0] == CSRF])
        self._spots: dict[str, tuple[Span, ...]] = {}
        opened: dict[str, int] = {}
        for number, (name, _place) in enumerate(marks):
            if name[0] == "+":
                opened.setdefault(name[1:], number)
            elif name[1:] in opened and name[0] == "-":
                self._add(name[1:], opened.pop(name[1:]), number)
        for name, number in opened.items():
            self._add(name, number, len(marks))

    def _add(self, name: str, first: int, last: int) -> None:
        self._spots[name] = (*self._spots.get(name, ()), (first, last))

    @classmethod
    def of(cls, parts: Sequence[str]) -> Layout:
        """Return it for texts and, between them, the names of marks."""
        texts, marks, length = [], [], 0
        for number, part in enumerate(parts):
            if number % 2:
                marks.append((part, length))
            else:
                texts.append(part.encode())
                length += len(texts[-1])
        return cls(b"".join(texts), marks)

    def marks(self) -> list[tuple[str, int]]:
        """Return the marks it was made of, without those that close what was not opened."""
        names = dict.fromkeys(self._tokens, CSRF)
        for name, spans in self._spots.items():
            for first, last in spans:
                names[first], names[last] = f"+{name}", f"-{name}"
        return [
            (names[number], place)
            for number, place in enumerate(self._places[:-1])
            if number in names
        ]

    def fill(self, own: dict[str, str], csrf_token: str) -> bytes:
        """Return the page with the member's own in its spots; one not in ``own`` stays as it is."""
        cuts: list[tuple[int, int, bytes]] = []
        for name, words in own.items():
            if spans := self._spots.get(name):
                cuts += [(first, last, words.encode()) for first, last in spans]
        token = csrf_token.encode()
        cuts += [(number, number, token) for number in self._tokens]
        return b"".join(self._pieces(sorted(cuts)))

    def _pieces(self, cuts: Iterable[tuple[int, int, bytes]]) -> list[bytes]:
        text, places = self.text, self._places
        pieces: list[bytes] = []
        done, number = 0, -1
        for first, last, words in cuts:
            if first <= number:  # within a spot that was replaced
                continue
            pieces += (text[done : places[first]], words)
            done, number = places[last], last
        pieces.append(text[done:])
        return pieces
