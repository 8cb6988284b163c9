"""Flower, when ``celery -A cgbookstore flower`` starts here: it reads this file by itself.

It shows the arguments of tasks and can end them, and asks nobody who they are.
"""

address = "127.0.0.1"  # ``--address`` on the command line wins
