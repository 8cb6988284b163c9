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
from .report import DRIFT_LINES, DriftReport, WeeklyReport

__all__ = [
    "BODY_LENGTH",
    "DELETED_HAS_DATE",
    "DRIFT_LINES",
    "PATH_LEVELS",
    "TITLE_LENGTH",
    "DebatePost",
    "DebateTopic",
    "DebateVote",
    "DriftReport",
    "Moderated",
    "ViewBatch",
    "WeeklyReport",
]
