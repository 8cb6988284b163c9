from .catalogue import CLOTHS, HALF_STARS, Author, Book, BookAuthor, Category, empty_histogram
from .heartbeat import Heartbeat
from .mail import OutgoingMail

__all__ = [
    "CLOTHS",
    "HALF_STARS",
    "Author",
    "Book",
    "BookAuthor",
    "Category",
    "Heartbeat",
    "OutgoingMail",
    "empty_histogram",
]
