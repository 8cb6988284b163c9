"""What is still owed, for the sweep of every minute; built while replies are written."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('debates', '0006_post_by_date'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='debatepost',
            index=models.Index(condition=models.Q(('notified_at__isnull', True)), fields=['id'], name='post_to_notify'),
        ),
        AddIndexConcurrently(
            model_name='debatetopic',
            index=models.Index(condition=models.Q(('notified_at__isnull', True)), fields=['id'], name='topic_to_notify'),
        ),
    ]
