"""The ASGI application, for servers that want one; the house serves WSGI."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cgbookstore.settings")

application = get_asgi_application()
