"""ISBNs of the kinds that files hold."""

from django.test import SimpleTestCase

from core.imports import isbn
from core.imports.remarks import Note


class CheckDigitTests(SimpleTestCase):
    def test_ten_digits_must_add_up(self):
        self.assertTrue(isbn.is_isbn10("0439023483"))
        self.assertFalse(isbn.is_isbn10("0439023484"))
        self.assertFalse(isbn.is_isbn10("439023483"))

    def test_the_last_of_ten_may_be_x(self):
        self.assertTrue(isbn.is_isbn10("081297106X"))
        self.assertFalse(isbn.is_isbn10("X812971060"))

    def test_thirteen_digits_must_add_up(self):
        self.assertTrue(isbn.is_isbn13("9780439023481"))
        self.assertFalse(isbn.is_isbn13("9780439023482"))

    def test_979_is_a_prefix_of_books_except_for_printed_music(self):
        self.assertTrue(isbn.is_isbn13("9791200001232"))
        self.assertFalse(isbn.is_isbn13("9790260000438"))
        self.assertFalse(isbn.is_isbn13("4006381333931"))

    def test_the_long_form_has_a_check_digit_of_its_own(self):
        self.assertEqual(isbn.to_isbn13("0439023483"), "9780439023481")
        self.assertEqual(isbn.to_isbn13("081297106X"), "9780812971064")


class OneColumnTests(SimpleTestCase):
    def assertReads(self, text, isbn13, note=None):
        found = isbn.from_text(text)
        self.assertEqual((found.isbn13, found.remark and found.remark.reason), (isbn13, note))

    def test_hyphens_and_spaces_do_not_matter(self):
        for text in (
            "978-0-439-02348-1", " 978 0439 023481", "978\u20110\u2013439023481", "0-439-02348-3"
        ):  # fmt: skip
            with self.subTest(text):
                self.assertReads(text, "9780439023481")

    def test_lost_leading_zeros_come_back(self):
        self.assertReads("439023483", "9780439023481")
        self.assertReads("7113803", "9780007113804")

    def test_a_small_x_is_an_x(self):
        self.assertReads("81297106x", "9780812971064")

    def test_nothing_is_nothing(self):
        self.assertReads("", None)
        self.assertReads("  ", None)

    def test_what_does_not_add_up_is_noted(self):
        for text in ("0439023484", "9780439023482", "9.78E+12", "0", "unknown", "٩٧٨٠٤٣٩٠٢٣٤٨١"):
            with self.subTest(text):
                self.assertReads(text, None, Note.ISBN_BAD)


class TwoColumnsTests(SimpleTestCase):
    """``isbn`` lost its zeros and ``isbn13`` its last digit when they were taken for numbers."""

    def assertReads(self, columns, isbn13, note=None):
        found = isbn.from_columns(*columns)
        self.assertEqual((found.isbn13, found.remark and found.remark.reason), (isbn13, note))

    def test_the_short_isbn_restores_the_damaged_long_one(self):
        self.assertReads(("439023483", "9.78043902348e+12"), "9780439023481")
        self.assertReads(("81297106X", "9.78081297106e+12"), "9780812971064")

    def test_trailing_zeros_of_the_float_may_be_missing(self):
        self.assertReads(("385530005", "9.78038553e+12"), "9780385530002")

    def test_rounding_up_is_agreement(self):
        self.assertReads(("316769487", "9.78031676949e+12"), "9780316769488")

    def test_the_short_isbn_is_enough(self):
        self.assertReads(("439023483", ""), "9780439023481")

    def test_a_float_of_another_book_leaves_neither(self):
        self.assertReads(("439023483", "9.78043902349e+12"), None, Note.ISBN_DIFFERS)

    def test_a_number_of_another_kind_does_not_spoil_the_short_isbn(self):
        for number in ("76783609419.0", "2.94001623192e+12", "9.79026000043e+12", "none", "nan"):
            with self.subTest(number):
                self.assertReads(("439023483", number), "9780439023481", Note.ISBN13_ALIEN)
                self.assertReads(("", number), None, Note.ISBN13_ALIEN)

    def test_one_remark_is_enough(self):
        self.assertReads(("439023484", "76783609419.0"), None, Note.ISBN_BAD)

    def test_a_damaged_float_alone_restores_nothing(self):
        self.assertReads(("", "9.78043902348e+12"), None, Note.ISBN_DAMAGED)

    def test_thirteen_digits_are_enough(self):
        for number in ("9780439023481", "9780439023481.0", "9.780439023481e+12"):
            with self.subTest(number):
                self.assertReads(("", number), "9780439023481")
                self.assertReads(("439023484", number), "9780439023481")

    def test_thirteen_digits_must_add_up_too(self):
        self.assertReads(("", "9780439023482.0"), None, Note.ISBN_DAMAGED)

    def test_the_last_ten_of_thirteen_are_no_short_isbn_but_tell_the_long_one(self):
        self.assertReads(("385535144", "9.78038553514e+12"), "9780385535144")

    def test_the_last_ten_need_the_float_to_agree(self):
        self.assertReads(("385535144", "9.78038553600e+12"), None, Note.ISBN_BAD)
        self.assertReads(("385535144", ""), None, Note.ISBN_BAD)

    def test_a_wrong_check_digit_is_not_put_right(self):
        self.assertReads(("812971060", "9.78081297106e+12"), None, Note.ISBN_BAD)

    def test_nothing_is_nothing(self):
        self.assertReads(("", ""), None)
