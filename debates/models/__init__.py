from .debate import (
    BODY_LENGTH,
    DELETED_HAS_DATE,
    OWED,
    PATH_LEVELS,
    TITLE_LENGTH,
    DebatePost,
    DebateTopic,
    DebateVote,
    Moderated,
    ViewBatch,
)
from .follow import Follow
from .notification import Notification

__all__ = [
    "BODY_LENGTH",
    "DELETED_HAS_DATE",
    "OWED",
    "PATH_LEVELS",
    "TITLE_LENGTH",
    "DebatePost",
    "DebateTopic",
    "DebateVote",
    "Follow",
    "Moderated",
    "Notification",
    "ViewBatch",
]
