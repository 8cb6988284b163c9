"""What is kept for staff: weeks in figures, and what the recount found."""

import django.core.serializers.json
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('debates', '0004_notifications'),
    ]

    operations = [
        migrations.CreateModel(
            name='DriftReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('night', models.DateField(unique=True, verbose_name='noite')),
                ('runs', models.PositiveIntegerField(default=0, verbose_name='vezes que começou')),
                ('finished_runs', models.PositiveIntegerField(default=0, verbose_name='vezes que terminou')),
                ('checked', models.PositiveBigIntegerField(default=0, verbose_name='debates recontados')),
                ('drifted', models.PositiveIntegerField(default=0, verbose_name='debates corrigidos')),
                ('lines', models.JSONField(default=list, encoder=django.core.serializers.json.DjangoJSONEncoder, verbose_name='contadores errados')),
            ],
            options={
                'verbose_name': 'recontagem',
                'verbose_name_plural': 'recontagens',
                'ordering': ['-night'],
                'default_permissions': ('view',),
                'constraints': [models.CheckConstraint(condition=models.Q(('finished_runs__lte', models.F('runs'))), name='drift_report_finished_were_begun')],
            },
        ),
        migrations.CreateModel(
            name='WeeklyReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('week', models.DateField(help_text='A segunda-feira.', unique=True, verbose_name='semana')),
                ('new_members', models.PositiveIntegerField(verbose_name='novos leitores')),
                ('new_topics', models.PositiveIntegerField(verbose_name='novos debates')),
                ('new_posts', models.PositiveIntegerField(verbose_name='novas respostas')),
                ('unanswered_topics', models.PositiveIntegerField(verbose_name='debates sem resposta')),
                ('first_reply_seconds', models.PositiveIntegerField(blank=True, null=True, verbose_name='segundos até a primeira resposta')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='contada em')),
            ],
            options={
                'verbose_name': 'relatório da semana',
                'verbose_name_plural': 'relatórios da semana',
                'ordering': ['-week'],
                'default_permissions': ('view',),
                'constraints': [models.CheckConstraint(condition=models.Q(('week__iso_week_day', 1)), name='weekly_report_begins_on_monday'), models.CheckConstraint(condition=models.Q(('unanswered_topics__lte', models.F('new_topics'))), name='weekly_report_unanswered_are_new')],
            },
        ),
    ]
