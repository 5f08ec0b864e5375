"""A past of many deals, paid and paid out, written into the tables as the services would have.

Living them takes a second each; this takes seconds for a million postings. The checks judge it.
"""

from __future__ import annotations

import datetime as dt

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import TelegramUser
from channels.models import Channel

POSTINGS_A_DEAL = 12

PRICE_NANO = 100_000_000_000
SHARE_NANO = 90_000_000_000
SWEPT_NANO = 9_995_000_000
FEE_NANO = 1_000_000
LEFT_NANO = PRICE_NANO - SHARE_NANO - SWEPT_NANO - 3 * FEE_NANO
"""What stays in a deal's wallet; its accounts hold 3 fees more, which the chain took."""

_DEALS = """
CREATE TEMPORARY TABLE past AS
SELECT i, md5('deal ' || i)::uuid AS reference, i AS subwallet, 1000 * i AS lt, i AS seqno,
       '0:' || lpad(to_hex(i), 64, '0') AS address, md5('payout ' || i)::uuid AS payout,
       md5('sweep ' || i)::uuid AS sweep, %(at)s + make_interval(secs => i) AS at
  FROM generate_series(%(first)s, %(last)s) AS i;
ANALYZE past;
"""

_WALLETS = """
INSERT INTO wallets (subwallet, version, public_key, address, expected_seqno, balance_nano, last_lt,
                     last_hash, frozen_reason, created_at)
VALUES (0, 'v3r2', '', '0:' || repeat('f', 64), 0, 0, 0, '', '', %(at)s) ON CONFLICT DO NOTHING;
INSERT INTO wallets (subwallet, version, public_key, address, reference, expected_seqno,
                     balance_nano, last_lt, last_hash, frozen_reason, created_at)
SELECT subwallet, 'v3r2', '', address, reference, 2, %(left)s, lt + 3, '', '', at FROM past;
UPDATE wallets SET last_lt = 1000 * %(last)s + 4,
                   balance_nano = %(last)s * (%(swept)s - %(fee)s) WHERE subwallet = 0;
"""

_ESCROWS = """
INSERT INTO escrows (reference, wallet_id, state, price_nano, funded_nano, payment_deadline_at,
                     opened_at, funded_at, ended_at)
SELECT reference, subwallet, 'RELEASED', %(price)s, %(price)s, at, at, at, at FROM past;
INSERT INTO settlements (id, kind, state, reference, wallet_id, payee_id, destination, comment,
                         amount_nano, waiting_for, attempts, attempts_allowed, due_at, created_at,
                         state_since_at, payable_since_at, confirmed_at)
SELECT payout, 'PAYOUT', 'CONFIRMED', reference, subwallet, 1, '0:1', '', %(share)s, '', 1, 5,
       at, at, at, at, at FROM past
UNION ALL
SELECT sweep, 'COMMISSION_SWEEP', 'CONFIRMED', reference, subwallet, NULL,
       '0:' || repeat('f', 64), '', %(swept)s, '', 1, 5, at, at, at, at, at FROM past;
"""

_CHAIN = """
INSERT INTO ton_transactions (
    wallet_id, direction, state, lt, tx_hash, mc_seqno, chain_at, received_nano, sent_nano,
    fee_nano, chain_balance_nano, source, out_msg_hash, settlement_id, destination, amount_nano,
    withheld_nano, seqno, valid_until_at, boc, msg_hash, hash_norm, body_hash, signed_at,
    last_answer)
SELECT subwallet, 'IN', 'CONFIRMED', lt + 1, 'in ' || i, past.seqno, at, %(price)s, 0, %(fee)s,
       NULL::bigint, '0:2', '', NULL::uuid, '', NULL::bigint, 0, NULL::bigint, NULL::timestamptz,
       NULL::bytea, '', '', '', NULL::timestamptz, '' FROM past
UNION ALL
SELECT subwallet, 'OUT', 'CONFIRMED', lt + 2, 'payout ' || i, past.seqno, at, 0, %(share)s,
       %(fee)s, NULL, '', '', payout, '0:1', %(share)s, 0, 0, at,
       convert_to(repeat('x', 300), 'UTF8'), '', 'payout ' || i, '', at, 'ok' FROM past
UNION ALL
SELECT subwallet, 'OUT', 'CONFIRMED', lt + 3, 'sweep ' || i, past.seqno, at, 0, %(swept)s,
       %(fee)s, %(left)s, '', '', sweep, '0:' || repeat('f', 64), %(swept)s, 0, 1, at,
       convert_to(repeat('x', 300), 'UTF8'), '', 'sweep ' || i, '', at, 'ok' FROM past
UNION ALL
SELECT 0, 'IN', 'CONFIRMED', lt + 4, 'swept ' || i, past.seqno, at, %(swept)s, 0, %(fee)s,
       i * (%(swept)s - %(fee)s), address, '', NULL, '', NULL, 0, NULL, NULL, NULL, '', '', '',
       NULL, '' FROM past;
INSERT INTO deposits (chain_transaction_id, escrow_id, amount_nano, state, confirmed_at_seqno, rule,
                      seen_at, decided_at, reminders)
SELECT chain.id, past.reference, %(price)s, 'ALLOCATED', past.seqno, 'funds the deal', at, at, 0
  FROM past JOIN ton_transactions chain
       ON chain.wallet_id = past.subwallet AND chain.lt = past.lt + 1;
INSERT INTO chain_cursor (id, seqno, head_seqno, block_at, read_at)
VALUES (1, %(last)s, %(last)s, %(at)s, %(at)s)
    ON CONFLICT (id) DO UPDATE SET seqno = excluded.seqno, head_seqno = excluded.head_seqno;
"""

_BOOKS = """
CREATE TEMPORARY TABLE lines AS
SELECT i, at, line.* FROM past CROSS JOIN LATERAL (VALUES
    (1, 'RECEIVED', 'in:' || address || ':' || lt + 1, 'EXTERNAL_TON',
     'DEPOSIT_PENDING:' || reference, %(price)s, subwallet),
    (2, 'NETWORK_FEE', 'fee:' || address || ':' || lt + 1, 'NETWORK_FEES', 'EXTERNAL_TON',
     %(fee)s, subwallet),
    (3, 'ALLOCATED', 'allocate:' || address || ':' || lt + 1, 'DEPOSIT_PENDING:' || reference,
     'ESCROW:' || reference, %(price)s, NULL),
    (4, 'ESCROW_RELEASE', 'release:' || reference, 'ESCROW:' || reference,
     'OWNER_PENDING:' || reference, %(share)s, NULL),
    (5, 'ESCROW_RELEASE', 'release:' || reference, 'ESCROW:' || reference,
     'COMMISSION:' || reference, %(price)s - %(share)s, NULL),
    (6, 'OWNER_WITHDRAWAL', 'out:' || address || ':' || lt + 2, 'OWNER_PENDING:' || reference,
     'EXTERNAL_TON', %(share)s, subwallet),
    (7, 'NETWORK_FEE', 'fee:' || address || ':' || lt + 2, 'NETWORK_FEES', 'EXTERNAL_TON',
     %(fee)s, subwallet),
    (8, 'COMMISSION_SWEEP', 'out:' || address || ':' || lt + 3, 'IN_TRANSIT', 'EXTERNAL_TON',
     %(swept)s, subwallet),
    (9, 'COMMISSION_SWEEP', 'sweep:' || sweep, 'COMMISSION:' || reference, 'PLATFORM_TREASURY',
     %(swept)s, NULL),
    (10, 'NETWORK_FEE', 'fee:' || address || ':' || lt + 3, 'NETWORK_FEES', 'EXTERNAL_TON',
     %(fee)s, subwallet),
    (11, 'RECEIVED', 'in:0:' || repeat('f', 64) || ':' || lt + 4, 'EXTERNAL_TON', 'IN_TRANSIT',
     %(swept)s, 0),
    (12, 'NETWORK_FEE', 'fee:0:' || repeat('f', 64) || ':' || lt + 4, 'NETWORK_FEES',
     'EXTERNAL_TON', %(fee)s, 0)
) AS line (number, kind, key, debit, credit, nano, wallet);
INSERT INTO ledger_journals (tx_ref, kind, key, digest, actor, correlation_id, posted_at)
SELECT md5(key)::uuid, kind, key, encode(sha256(convert_to('["' || kind || '", [' || string_agg(
           '["' || debit || '", "' || credit || '", ' || nano || ', '
                || coalesce(wallet::text, 'null') || ']', ', ' ORDER BY credit COLLATE "C")
           || ']]', 'UTF8')), 'hex'), 'system:past', md5('past')::uuid, min(at)
  FROM lines GROUP BY kind, key ORDER BY min(i), min(number);
INSERT INTO ledger_postings (journal_id, debit, credit, amount_nano, wallet_id)
SELECT md5(key)::uuid, debit, credit, nano, wallet FROM lines ORDER BY i, number;
INSERT INTO account_balances (code, balance_nano)
SELECT account || ':' || reference, CASE account WHEN 'COMMISSION' THEN %(left)s + 3 * %(fee)s
                                                 ELSE 0 END
  FROM past CROSS JOIN unnest(ARRAY['DEPOSIT_PENDING', 'ESCROW', 'OWNER_PENDING', 'COMMISSION'])
       AS account;
INSERT INTO account_balances (code, balance_nano)
VALUES ('PLATFORM_TREASURY', (%(last)s - %(first)s + 1) * %(swept)s)
    ON CONFLICT (code)
    DO UPDATE SET balance_nano = account_balances.balance_nano + excluded.balance_nano;
"""

_THE_DEALS_THEMSELVES = """
INSERT INTO deals (id, status, version, format, price_nano, commission_rate_bp, created_at,
                   submitted_at, status_since_at, publish_at, published_at, retention_ends_at,
                   waiting_for, hold_reason, hold_note, advertiser_id, channel_id, owner_id,
                   channel_was_public, cancel_asked_by)
SELECT reference, 'COMPLETED_RELEASED', 9, 'POST', %(price)s, 1000, at, at, at, at, at, at, '', '',
       '', 1, -1, 1, false, '' FROM past;
"""


def live(deals: int, *, first: int = 1, ago: dt.timedelta = dt.timedelta(days=30)) -> None:
    """Live so many deals, whose numbers begin at `first`; each makes 12 postings."""
    at = timezone.now() - ago
    TelegramUser.objects.get_or_create(id=1, defaults={"created_at": at, "seen_at": at})
    Channel.objects.get_or_create(
        id=-1,
        defaults={"owner_id": 1, "subscribers": 1, "created_at": at, "proved_at": at},
    )
    numbers: dict[str, int | dt.datetime] = {
        "first": first,
        "last": first + deals - 1,
        "at": at,
        "price": PRICE_NANO,
        "share": SHARE_NANO,
        "swept": SWEPT_NANO,
        "fee": FEE_NANO,
        "left": LEFT_NANO,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        for part in (_DEALS, _WALLETS, _ESCROWS, _CHAIN, _BOOKS, _THE_DEALS_THEMSELVES):
            cursor.execute(part, numbers)
        cursor.execute("DROP TABLE past, lines")
