"""Bulk data for measuring, shaped like a real forum: ``manage.py seed_load``.

``words`` holds the sentences, ``chance`` the repeatable dice, ``clock`` the years, ``copying``
the way into Postgres; ``books``, ``people`` and ``threads`` make rows, ``marks`` knows which
rows of a database were made here, ``running`` joins them. docs/seed.md tells what comes out.
"""
