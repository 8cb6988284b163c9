"""The replies of a week, for the weekly report; built while replies are written."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('debates', '0005_weekly_report'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='debatepost',
            index=models.Index(fields=['created_at'], name='post_by_date'),
        ),
    ]
