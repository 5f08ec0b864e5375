"""History and check results grow only."""

from django.db import migrations

from advertmarket.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("deals", "0001_initial")]
    operations = [append_only("deal_events"), append_only("posting_checks")]
