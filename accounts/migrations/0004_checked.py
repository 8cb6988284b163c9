"""The rules of 0002 hold of the rows that were there too; looked at while people write."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_user_by_joining'),
    ]

    operations = [
        ValidateConstraint(model_name='user', name='user_mail_frequency_is_known'),
        ValidateConstraint(model_name='user', name='user_unread_count_not_negative'),
    ]
