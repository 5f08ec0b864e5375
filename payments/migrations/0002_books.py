"""The books grow only; auditors see the classic two rows; subwallets come from a sequence."""

from django.db import migrations

from advertmarket.append_only import append_only

LEDGER_ENTRIES = """
CREATE VIEW ledger_entries AS
    SELECT posting.id AS posting_id, journal.tx_ref, journal.kind, journal.posted_at,
           posting.debit AS account, posting.amount_nano AS debit_nano, 0::bigint AS credit_nano,
           posting.wallet_id AS subwallet
      FROM ledger_postings posting JOIN ledger_journals journal ON journal.tx_ref = posting.journal_id
    UNION ALL
    SELECT posting.id, journal.tx_ref, journal.kind, journal.posted_at,
           posting.credit, 0::bigint, posting.amount_nano, posting.wallet_id
      FROM ledger_postings posting JOIN ledger_journals journal ON journal.tx_ref = posting.journal_id
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]
    operations = [
        append_only("ledger_journals"),
        append_only("ledger_postings"),
        migrations.RunSQL(LEDGER_ENTRIES, "DROP VIEW ledger_entries"),
        migrations.RunSQL("CREATE SEQUENCE wallet_subwallet", "DROP SEQUENCE wallet_subwallet"),
    ]
