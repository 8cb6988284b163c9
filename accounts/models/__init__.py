from .book_review import BookReview
from .reading_progress import ReadingProgress
from .shelf import ShelfItem
from .user import User

__all__ = ["BookReview", "ReadingProgress", "ShelfItem", "User"]
