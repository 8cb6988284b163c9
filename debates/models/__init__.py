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
from .report import DRIFT_LINES, DriftReport, WeeklyReport

__all__ = [
    "BODY_LENGTH",
    "DELETED_HAS_DATE",
    "DRIFT_LINES",
    "OWED",
    "PATH_LEVELS",
    "TITLE_LENGTH",
    "DebatePost",
    "DebateTopic",
    "DebateVote",
    "DriftReport",
    "Follow",
    "Moderated",
    "Notification",
    "ViewBatch",
    "WeeklyReport",
]
