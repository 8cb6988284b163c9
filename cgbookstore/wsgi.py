"""The WSGI application that granian serves (see the Procfile)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cgbookstore.settings")

application = get_wsgi_application()
