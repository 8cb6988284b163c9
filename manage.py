#!/usr/bin/env python
"""Django's door. ``services`` is answered before Django loads: it works with no .env at all."""

import os
import sys


def main() -> None:
    """Run one command."""
    if sys.argv[1:2] == ["services"]:
        from core import embedded

        sys.exit(embedded.main(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cgbookstore.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit(
            "Django is not installed in this Python: run `python3 dev.py setup`, then use "
            ".venv/bin/python (or activate it with `. .venv/bin/activate`)."
        )
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
