from .catalogue import CLOTHS, HALF_STARS, Author, Book, BookAuthor, Category, empty_histogram

__all__ = [
    "CLOTHS",
    "HALF_STARS",
    "Author",
    "Book",
    "BookAuthor",
    "Category",
    "empty_histogram",
]
