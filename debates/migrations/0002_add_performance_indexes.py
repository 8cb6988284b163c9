"""What the busiest queries read; the owner's idx_post_topic_date is among them."""

import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("debates", "0001_initial"),
    ]

    operations = [
        migrations.AddIndex(
            model_name='debatetopic',
            index=models.Index(condition=models.Q(('is_deleted', False)), fields=['-is_pinned', '-updated_at', '-id'], name='topic_live_recent'),
        ),
        migrations.AddIndex(
            model_name='debatetopic',
            index=models.Index(condition=models.Q(('is_deleted', False)), fields=['book', '-is_pinned', '-updated_at', '-id'], name='topic_live_book_recent'),
        ),
        migrations.AddIndex(
            model_name='debatetopic',
            index=models.Index(fields=['creator', '-created_at', '-id'], name='topic_creator_recent'),
        ),
        migrations.AddIndex(
            model_name='debatetopic',
            index=django.contrib.postgres.indexes.GinIndex(fields=['folded_title'], name='topic_search', opclasses=['gin_trgm_ops']),
        ),
        migrations.AddIndex(
            model_name='debatetopic',
            index=models.Index(condition=models.Q(('deleted_by__isnull', False)), fields=['deleted_by'], name='topic_deleted_by'),
        ),
        migrations.AddIndex(
            model_name='debatepost',
            index=models.Index(fields=['topic', '-created_at', 'is_deleted'], name='idx_post_topic_date'),
        ),
        migrations.AddIndex(
            model_name='debatepost',
            index=models.Index(fields=['author', '-created_at', '-id'], name='post_author_recent'),
        ),
        migrations.AddIndex(
            model_name='debatepost',
            index=models.Index(condition=models.Q(('deleted_by__isnull', False)), fields=['deleted_by'], name='post_deleted_by'),
        ),
    ]
