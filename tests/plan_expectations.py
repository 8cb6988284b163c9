"""Which indexes each public page must read: the one table, for tests/test_plans.py and docs/queries.md.

The names are those of ``debates.plans.PAGES``. Any of several, where Postgres rightly chooses
by the numbers of the site, stand in one tuple.
"""

from __future__ import annotations

BOOK_LIST = ("topic_live_recent", "topic_live_book_recent")
# a rare word is looked up; for a common one the list is walked until there are enough
BOOK_SEARCH = ("book_search", "book_popular")
TOPIC_SEARCH = ("topic_search", "idx_topic_date")
OWN_VOTES = ("vote_once_per_post", "debates_debatevote_user_id")  # begins so; Django names it
OWN_FOLLOWING = ("follow_once_per_topic", "follow_once_per_book", "debates_follow_user_id")

INDEXES: dict[str, list[str | tuple[str, ...]]] = {
    "home": ["topic_live_recent", "book_newest"],
    "debates_list": ["topic_live_recent"],
    "debates_list_page_2": ["topic_live_recent"],
    "debates_list_page_10": ["topic_live_recent"],
    "debates_list_deep": ["topic_live_recent"],
    "debates_list_of_book": [BOOK_LIST],
    "debates_list_of_quiet_book": ["topic_live_book_recent"],
    "debates_list_of_book_deep": [BOOK_LIST],
    "topic_detail": ["debates_debatetopic_slug", "post_thread_order"],
    "topic_detail_short": ["debates_debatetopic_slug", "post_thread_order"],
    "topic_detail_page_2": ["debates_debatetopic_slug", "post_thread_order"],
    "topic_detail_page_10": ["debates_debatetopic_slug", "post_thread_order"],
    "topic_detail_deep": ["debates_debatetopic_slug", "post_thread_order"],
    "post_permalink": ["debates_debatepost_pkey", "post_thread_order"],
    "post_permalink_deep": ["debates_debatepost_pkey", "post_thread_order"],
    "book_list": ["book_popular"],
    "book_list_by_title": ["book_by_title"],
    "book_list_newest": ["book_newest"],
    "book_list_of_language": ["book_language_popular"],
    "book_list_filtered": ["core_book_categories_"],
    "book_list_deep": ["book_popular"],
    "book_detail": ["core_book_slug", "book_author_once", BOOK_LIST],
    "book_detail_quiet": ["core_book_slug", "book_author_once", "topic_live_book_recent"],
    "book_detail_deep": ["core_book_slug", "idx_review_book_date"],
    "author_detail": ["core_bookauthor_author_id"],
    "category_detail": ["core_book_categories_"],
    "search": [BOOK_SEARCH, TOPIC_SEARCH],
    "search_books": [BOOK_SEARCH],
    "search_authors": [],  # 700 authors are read as a whole
    "search_debates": [TOPIC_SEARCH],
    "search_rare": ["book_search", "topic_search"],
    "search_short": ["book_by_title", "topic_search"],
    "profile": ["user_username_once", ("shelf_user_recent", "shelf_once_per_book")],
    "profile_shelf_deep": ["shelf_user_recent"],
    "profile_reviews": ["idx_review_user_date"],
    "profile_topics": ["topic_creator_recent"],
    "profile_posts": ["post_author_recent"],
    "profile_quiet": ["post_author_recent"],
    "profile_posts_deep": ["post_author_recent"],
    "notifications": ["notice_user_recent"],
    "notifications_deep": ["notice_user_recent"],
}

# besides: who is asking, and on a debate how they voted
MEMBER = ["accounts_user_pkey"]
OF_MEMBERS: dict[str, list[str | tuple[str, ...]]] = {
    name: [OWN_VOTES, OWN_FOLLOWING]
    for name in ("topic_detail", "topic_detail_page_10", "topic_detail_deep")
}
OF_MEMBERS["book_detail"] = [
    "shelf_once_per_book",
    "progress_once_per_book",
    "review_once_per_book",
    OWN_FOLLOWING,
]
