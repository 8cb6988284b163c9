"""Which batches of view counts were added."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('debates', '0002_add_performance_indexes'),
    ]

    operations = [
        migrations.CreateModel(
            name='ViewBatch',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'default_permissions': (),
                'indexes': [models.Index(fields=['created_at'], name='view_batch_by_age')],
            },
        ),
    ]
