from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations


class Migration(migrations.Migration):
    """pg_trgm: the search box looks for parts of words. Trusted since Postgres 13."""

    dependencies = []

    operations = [TrigramExtension()]
