"""core.charts: well-formed pictures of the right size, whatever the numbers and the words."""

from __future__ import annotations

from xml.etree import ElementTree

from django.test import SimpleTestCase
from django.utils import translation

from core.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Point, bars, line

SVG = "{http://www.w3.org/2000/svg}"
ROOM = HEIGHT - TOP - BOTTOM
HOSTILE = "</title><script>alert(1)</script>\"'&<x onload=y>"


def chart(*values, **changes) -> Chart:
    points = [Point(f"{n}/11", value) for n, value in enumerate(values, start=1)]
    return Chart(**{"name": "x", "title": "Um", "description": "Dois", "points": points, **changes})


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314  our own


def all_of(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return list(root.iter(tag))


class ChartTests(SimpleTestCase):
    def test_both_are_named_pictures(self):
        for draw in (bars, line):
            root = parse(draw(chart(1, 2, 3)))
            assert root.get("role") == "img"
            names = {one.get("id"): one.text for one in root if one.get("id")}
            assert [names[name] for name in root.get("aria-labelledby").split()] == ["Um", "Dois"]

    def test_hostile_words_stay_words(self):
        points = [Point(HOSTILE, 1.0), Point(HOSTILE, 2.0)]
        for draw in (bars, line):
            svg = draw(
                chart(title=HOSTILE, description=HOSTILE, points=points, told=lambda _v: HOSTILE)
            )
            root = parse(svg)
            assert all_of(root, "script") == []
            assert root.find("title").text == HOSTILE
            assert "<script" not in svg

    def test_no_numbers_few_numbers_and_odd_ones_draw_something(self):
        for values in (
            (),
            (None,),
            (0,),
            (None, 0, None),
            (-3, 2),
            (0.04,),
            (10**9, 1),
            (1.5,) * 60,
        ):
            for draw in (bars, line):
                with self.subTest(draw=draw.__name__, values=values[:3]):
                    root = parse(draw(chart(*values)))
                    for rect in all_of(root, "rect"):
                        assert 0 <= float(rect.get("height")) <= ROOM
                        assert LEFT <= float(rect.get("x")) <= WIDTH - RIGHT
                    for dot in all_of(root, "circle"):
                        assert TOP <= float(dot.get("cy")) <= HEIGHT - BOTTOM

    def test_bars_are_as_high_as_their_numbers(self):
        rects = all_of(parse(bars(chart(0, 5, 10))), "rect")
        assert [float(rect.get("height")) for rect in rects] == [0, ROOM / 2, ROOM]
        assert [rect.find("title").text for rect in rects] == ["1/11: 0", "2/11: 5", "3/11: 10"]

    def test_the_axis_ends_with_a_round_number(self):
        for most, top in ((0, "1"), (1, "1"), (3, "5"), (5, "5"), (11, "20"), (999, "1000")):
            words = [text.text for text in all_of(parse(bars(chart(most))), "text")]
            assert words[:2] == [top, "0"], most

    def test_a_gap_breaks_the_line(self):
        root = parse(line(chart(1, 2, None, 3, None, 4, 5)))
        runs = [len(one.get("points").split()) for one in all_of(root, "polyline")]
        assert runs == [2, 2]
        assert len(all_of(root, "circle")) == 5

    def test_what_may_still_grow_looks_different(self):
        points = [Point("a", 1), Point("b", 2, is_open=True)]
        kinds = [rect.get("class") for rect in all_of(parse(bars(chart(points=points))), "rect")]
        assert kinds == ["chart__bar", "chart__bar chart__bar--open"]

    def test_at_most_five_labels_and_the_last_one_among_them(self):
        for number in (1, 5, 6, 13, 30, 31):
            words = [text.text for text in all_of(parse(bars(chart(*[1] * number))), "text")][2:]
            assert len(words) <= 5
            assert f"{number}/11" in words

    def test_coordinates_have_points_in_every_language(self):
        for language in ("pt-br", "en"):
            with translation.override(language):
                svg = bars(chart(1, 2, 3))
                for rect in all_of(parse(svg), "rect"):
                    for name in ("x", "y", "width", "height"):
                        float(rect.get(name))

    def test_nothing_inline(self):
        for draw in (bars, line):
            svg = draw(chart(1, 2))
            assert "style" not in svg
            assert " on" not in svg
