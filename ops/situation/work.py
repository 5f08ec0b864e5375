"""What people wait for, and what could not be delivered or applied."""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from deals.disputes.selectors import decided_within
from ops.query import rows

from .section import SHOWN, Section, age, listed

RECENT = dt.timedelta(hours=24)
"""A dead letter stays for ever; one that is older was seen."""

_DISPUTES = """
SELECT count(*) OVER (), deal_id, reason, opened_at FROM disputes
 WHERE state = 'OPEN' ORDER BY opened_at LIMIT %(most)s
"""

_HELD_DEALS = """
SELECT count(*) OVER (), id, status, hold_reason, held_at FROM deals
 WHERE held_at IS NOT NULL ORDER BY held_at LIMIT %(most)s
"""

_UNDELIVERED = """
SELECT count(*) OVER (), id, chat_id, state, error, created_at FROM telegram_outgoing
 WHERE about_money AND state IN ('FAILED', 'UNREACHABLE') ORDER BY id LIMIT %(most)s
"""

_FAILED_EVENTS = """
SELECT count(*) OVER (), event_type, key, error, created_at FROM notification_outbox
 WHERE status = 'FAILED' ORDER BY id LIMIT %(most)s
"""

_DEAD_LETTERS = """
SELECT "group", count(*), count(*) FILTER (WHERE created_at > %(since)s), max(created_at)
  FROM dead_letters GROUP BY 1 ORDER BY 1
"""

_UPDATES = """
SELECT count(*) OVER (), id, kind, error, created_at FROM telegram_updates
 WHERE state = 'SET_ASIDE' AND created_at > %(since)s ORDER BY id LIMIT %(most)s
"""


def tell_disputes(at: dt.datetime) -> Section:
    """Disputes that an operator has to decide."""
    found = rows(_DISPUTES, {"most": SHOWN})
    count = found[0][0] if found else 0
    lines = []
    for _count, deal, reason, opened_at in found:
        due_at = opened_at + decided_within()
        late = " (OVERDUE)" if due_at < at else ""
        due = f"due {due_at:%Y-%m-%d %H:%M} UTC{late}"
        lines.append(f"{reason}, open for {age(opened_at, at)}, {due}\n  deal {deal}")
    return Section(_("disputes"), str(count), bool(count), listed(lines, count))


def tell_held_deals(at: dt.datetime) -> Section:
    """Deals that nobody but an operator moves on."""
    found = rows(_HELD_DEALS, {"most": SHOWN})
    count = found[0][0] if found else 0
    lines = [f"{row[2]}: {row[3]} for {age(row[4], at)}\n  deal {row[1]}" for row in found]
    return Section(_("held deals"), str(count), bool(count), listed(lines, count))


def tell_undelivered(at: dt.datetime) -> Section:
    """Notices about money that did not reach their people."""
    found = rows(_UNDELIVERED, {"most": SHOWN})
    count = found[0][0] if found else 0
    lines = [f"message {row[1]} to {row[2]}, {row[3]}: {row[4]}" for row in found]
    return Section(_("undelivered about money"), str(count), bool(count), listed(lines, count))


def tell_failed_events(at: dt.datetime) -> Section:
    """Events that can never be sent as they are."""
    found = rows(_FAILED_EVENTS, {"most": SHOWN})
    count = found[0][0] if found else 0
    lines = [f"{row[1]} of {row[2]}: {row[3]}" for row in found]
    return Section(_("failed events"), str(count), bool(count), listed(lines, count))


def tell_dead_letters(at: dt.datetime) -> Section:
    """Records that consumers could not apply."""
    found = rows(_DEAD_LETTERS, {"since": at - RECENT})
    lines = tuple(
        f"{group}: {count}, the last {age(last, at)} ago" for group, count, _recent, last in found
    )
    recent = sum(row[2] for row in found)
    says = _("{count} within 24 h").format(count=recent)
    return Section(_("dead letters"), says, bool(recent), lines)


def tell_updates(at: dt.datetime) -> Section:
    """What people told the bot, and no handler took."""
    found = rows(_UPDATES, {"since": at - RECENT, "most": SHOWN})
    count = found[0][0] if found else 0
    lines = [f"update {row[1]}, {row[2]}: {row[3]}" for row in found]
    says = _("{count} within 24 h").format(count=count)
    return Section(_("updates set aside"), says, bool(count), listed(lines, count))
