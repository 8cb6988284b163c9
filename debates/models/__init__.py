from .debate import (
    BODY_LENGTH,
    DELETED_HAS_DATE,
    PATH_LEVELS,
    TITLE_LENGTH,
    DebatePost,
    DebateTopic,
    DebateVote,
    Moderated,
    ViewBatch,
)

__all__ = [
    "BODY_LENGTH",
    "DELETED_HAS_DATE",
    "PATH_LEVELS",
    "TITLE_LENGTH",
    "DebatePost",
    "DebateTopic",
    "DebateVote",
    "Moderated",
    "ViewBatch",
]
