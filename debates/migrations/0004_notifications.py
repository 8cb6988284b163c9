"""Following, notifications, and which posts somebody must still be told of.

The columns of the big tables come last, so that their locks are held for milliseconds.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0004_operations'),
        ('debates', '0003_view_batch'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Follow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('segue', 'Segue'), ('silencia', 'Silencia')], max_length=10, verbose_name='situação')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='desde')),
            ],
            options={
                'verbose_name': 'debate ou livro seguido',
                'verbose_name_plural': 'debates e livros seguidos',
            },
        ),
        migrations.CreateModel(
            name='Notification',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(choices=[('mencao', 'Menção'), ('resposta', 'Resposta'), ('debate', 'Debate seguido'), ('livro', 'Livro seguido')], max_length=10, verbose_name='motivo')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='avisado em')),
                ('read_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='lido em')),
                ('mailed_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='por e-mail em')),
            ],
            options={
                'verbose_name': 'aviso',
                'verbose_name_plural': 'avisos',
            },
        ),
        migrations.AddField(
            model_name='follow',
            name='book',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='core.book', verbose_name='livro'),
        ),
        migrations.AddField(
            model_name='follow',
            name='topic',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='debates.debatetopic', verbose_name='debate'),
        ),
        migrations.AddField(
            model_name='follow',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='leitor'),
        ),
        migrations.AddField(
            model_name='notification',
            name='post',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='debates.debatepost', verbose_name='resposta'),
        ),
        migrations.AddField(
            model_name='notification',
            name='topic',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='debates.debatetopic', verbose_name='debate'),
        ),
        migrations.AddField(
            model_name='notification',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='leitor'),
        ),
        migrations.AddConstraint(
            model_name='follow',
            constraint=models.UniqueConstraint(fields=('topic', 'user'), name='follow_once_per_topic'),
        ),
        migrations.AddConstraint(
            model_name='follow',
            constraint=models.UniqueConstraint(fields=('book', 'user'), name='follow_once_per_book'),
        ),
        migrations.AddConstraint(
            model_name='follow',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('book__isnull', False), ('topic__isnull', True)), models.Q(('book__isnull', True), ('topic__isnull', False)), _connector='OR'), name='follow_has_one_subject'),
        ),
        migrations.AddConstraint(
            model_name='follow',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['segue', 'silencia'])), name='follow_state_is_known'),
        ),
        migrations.AddIndex(
            model_name='notification',
            index=models.Index(fields=['user', '-created_at', '-id'], name='notice_user_recent'),
        ),
        migrations.AddIndex(
            model_name='notification',
            index=models.Index(condition=models.Q(('read_at__isnull', True)), fields=['user', 'topic'], name='notice_unread'),
        ),
        migrations.AddIndex(
            model_name='notification',
            index=models.Index(condition=models.Q(('read_at__isnull', False)), fields=['read_at'], name='notice_read_by_age'),
        ),
        migrations.AddConstraint(
            model_name='notification',
            constraint=models.UniqueConstraint(fields=('post', 'user'), name='notice_once_per_post'),
        ),
        migrations.AddConstraint(
            model_name='notification',
            constraint=models.UniqueConstraint(condition=models.Q(('post__isnull', True)), fields=('topic', 'user'), name='notice_once_per_opening'),
        ),
        migrations.AddConstraint(
            model_name='notification',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['mencao', 'resposta', 'debate', 'livro'])), name='notice_reason_is_known'),
        ),
        # Nobody is told of what was there before. Postgres keeps such a default beside the table:
        # two million rows are dated without being written, and the default is gone again.
        migrations.AddField(
            model_name='debatepost',
            name='notified_at',
            field=models.DateTimeField(blank=True, db_default=Now(), editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='debatepost',
            name='notified_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='debatetopic',
            name='notified_at',
            field=models.DateTimeField(blank=True, db_default=Now(), editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='debatetopic',
            name='notified_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='debatepost',
            name='owed_names',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=30), blank=True, editable=False, null=True, size=None),
        ),
        migrations.AddField(
            model_name='debatetopic',
            name='owed_names',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=30), blank=True, editable=False, null=True, size=None),
        ),
    ]
