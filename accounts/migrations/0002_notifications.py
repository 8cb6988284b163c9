"""Notifications: by mail as the reader chooses, and the count of unread ones.

Columns without a CHECK of their own, which would scan the table under their lock; 0004 scans it.
"""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='mail_frequency',
            field=models.CharField(choices=[('na-hora', 'Na hora, um e-mail por aviso'), ('diario', 'Um resumo por dia'), ('semanal', 'Um resumo por semana'), ('nunca', 'Nunca')], db_default='diario', default='diario', max_length=10, verbose_name='avisos por e-mail'),
        ),
        migrations.AddField(
            model_name='user',
            name='unread_count',
            field=models.IntegerField(db_default=0, default=0, editable=False, verbose_name='avisos não lidos'),
        ),
        AddConstraintNotValid(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('mail_frequency__in', ['na-hora', 'diario', 'semanal', 'nunca'])), name='user_mail_frequency_is_known'),
        ),
        AddConstraintNotValid(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('unread_count__gte', 0)), name='user_unread_count_not_negative'),
        ),
    ]
