"""The kinds of incidents, a line each: how grave, what people are told, where to read on.

The figures of severity and clocks are the runbook's ("Financial Incident Escalation"). Texts have
{placeholders} that the causes' facts fill.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise, lazystr
from django.utils.translation import gettext_lazy as _

from ops.models import Severity

RESPONSE = {
    Severity.P0: dt.timedelta(minutes=30),
    Severity.P1: dt.timedelta(hours=1),
    Severity.P2: dt.timedelta(hours=2),
    Severity.P3: dt.timedelta(hours=4),
}
"""Within what time somebody must have acknowledged."""


class Dashboard(StrEnum):
    """The dashboards, by the names that they have in Grafana."""

    MONEY = "Money"
    API = "API"
    INFRASTRUCTURE = "Infrastructure"


@dataclass(frozen=True)
class Kind:
    """One kind of incident.

    `title` and `figures` say what there is, `means` what it means for the money, `first` what to do
    first. `anchor` is a section of docs/runbook.md. `hold_s`: for how many seconds a cause must be
    there before anybody is told. While a cause of `hidden_by` is told of, one of this kind is its
    consequence and opens nothing. `pauses`: payouts are paused when it opens.
    """

    name: str
    severity: Severity
    title: Promise
    figures: Promise
    means: Promise
    first: Promise
    anchor: str
    dashboard: Dashboard
    hold_s: int = 0
    hidden_by: tuple[str, ...] = ()
    pauses: bool = False


_P0, _P1, _P2, _P3 = Severity.P0, Severity.P1, Severity.P2, Severity.P3
_MONEY, _INFRASTRUCTURE = Dashboard.MONEY, Dashboard.INFRASTRUCTURE

_NO_WORK = ("redis_down", "celery_silent", "money_queue_silent")
"""Without Redis Celery has no broker, and without its workers no table is worked on."""

_A_MOMENT_S = 15
"""Three looks: a restart of a few seconds wakes nobody."""

_A_MINUTE_S = 60
"""What heals itself in seconds, and costs nobody anything for a minute."""

_FIVE_MINUTES_S = 300

_RECONCILE_FIRST = _(
    "Run manage.py reconcile and look at each row that it names. Resume payouts only once it is "
    "explained."
)
_NO_MONEY = _("No money is touched by this.")
_NOTICES_LATE = _("The money goes on by itself; notices are late.")
_ITS_MONEY_WAITS = _("The money is safe, and its recipient waits for it.")
_IN_ESCROW = _("The money stays in escrow, and both sides wait.")
_NOTHING_IS_LOST = _("Nothing is lost; what is due waits.")
_ALL = (
    # --- P0: the money may be wrong, or nobody can tell ------------------------------------------
    Kind(
        "check_critical",
        _P0,
        _("Check {number} of the books fails: {check}"),
        _("Found: {found}. {finding}"),
        _("Money may be missing, or booked wrong."),
        _RECONCILE_FIRST,
        "is-the-money-right",
        _MONEY,
        pauses=True,
    ),
    Kind(
        "database_down",  # P0: everything stands still, and no other alarm can be raised
        _P0,
        _("PostgreSQL does not answer"),
        _("{error}"),
        _("Nothing is signed, sent or booked until it is back; nothing on chain is lost."),
        _("Start PostgreSQL; look into its log, and for room on its disk."),
        "a-service-is-away",
        _INFRASTRUCTURE,
    ),
    # --- P1: somebody's money waits for a person -------------------------------------------------
    Kind(
        "check_high",  # P1 and not P2: like a stuck payout, it is money that nothing moves on
        _P1,
        _("Check {number} of the books fails: {check}"),
        _("Found: {found}. {finding}"),
        _("Money lies where nothing moves it on; none was seen to leave wrongly."),
        _RECONCILE_FIRST,
        "is-the-money-right",
        _MONEY,
    ),
    Kind(
        "payout_stuck",
        _P1,
        _("A transfer has been stuck for over an hour: {amount} TON"),
        _("{transfer}, {state}, deal {deal}. It waits for: {waiting_for}"),
        _ITS_MONEY_WAITS,
        _("Look up what it waits for in the runbook's table; then manage.py operate."),
        "payouts-wait-though-nothing-is-paused-by-hand",
        _MONEY,
    ),
    Kind(
        "payouts_stuck",
        _P1,
        _("{count} more transfers have been stuck for over an hour"),
        _("{amount} TON in all, beside those that have an incident of their own."),
        _ITS_MONEY_WAITS,
        _("Find what they have in common: Admin, Settlements, the column “waiting for”."),
        "payouts-wait-though-nothing-is-paused-by-hand",
        _MONEY,
    ),
    Kind(
        "payouts_paused",
        _P1,
        _("Payouts are paused, and {count} have waited for over an hour"),
        _("{amount} TON wait. {waiting_for}"),
        _ITS_MONEY_WAITS,
        _("Find out who paused them and why; resume once that is over."),
        "pause-and-resume",
        _MONEY,
    ),
    Kind(
        "wallet_frozen",
        _P1,
        _("Wallet {subwallet} is frozen"),
        _("{reason}"),
        _("Nothing is signed from it, and what it owes waits. Somebody may have its key."),
        _("Look at its address in an explorer before anything else; do not unfreeze it yet."),
        "payouts-wait-though-nothing-is-paused-by-hand",
        _MONEY,
    ),
    Kind(
        "wallets_frozen",
        _P1,
        _("{count} more wallets are frozen"),
        _("Beside those that have an incident of their own."),
        _("Nothing is signed from them, and what they owe waits. Somebody may have the key."),
        _("Pause payouts. If there was no restore from a backup, take the mnemonic as stolen."),
        "a-mnemonic-is-compromised",
        _MONEY,
    ),
    Kind(
        "telegram_refused",
        _P1,
        _("Telegram refuses the bot's token"),
        _("{error}"),
        _("The money goes on by itself; no ad is posted or checked, and nobody is told anything."),
        _("Get the token from @BotFather, put it into .env, restart web, worker and watch."),
        "telegram-is-silent",
        _INFRASTRUCTURE,
    ),
    Kind(
        "redis_down",
        _P1,
        _("Redis does not answer"),
        _("{error}"),
        _("Payouts stand still by themselves, and so does all background work; deposits wait."),
        _("Start Redis. If it comes back empty, its epoch has to be confirmed."),
        "a-service-is-away",
        _INFRASTRUCTURE,
        hold_s=_A_MOMENT_S,
    ),
    Kind(
        "epoch_lost",
        _P1,
        _("Redis lost its memory"),
        _("Its epoch is {found}, PostgreSQL's is {expected}."),
        _("Payouts are paused by themselves until an operator confirms."),
        _(
            "Find out why it lost its data; then manage.py confirm_epoch --operator NAME --reason "
            "TEXT."
        ),
        "payouts-wait-though-nothing-is-paused-by-hand",
        _MONEY,
        hold_s=_A_MOMENT_S,
        hidden_by=("redis_down",),
    ),
    Kind(
        "celery_silent",
        _P1,
        _("All Celery queues are silent"),
        _("Their last tasks ran: {beaten_at}."),
        _("Deposits are not decided and payouts not sent; nothing is lost."),
        _("Look at the log of beat first: without it no worker has anything to do."),
        "a-queue-is-silent",
        _INFRASTRUCTURE,
        hold_s=30,
        hidden_by=("redis_down",),
    ),
    Kind(
        "money_queue_silent",  # P1: deposits are not decided, or payouts not sent
        _P1,
        _("The Celery queue “{queue}” is silent"),
        _("Its last task ran: {beaten_at}."),
        _("Nothing that this queue does for the money is done: deposits or payouts wait."),
        _("Look at the log of its worker; restart it if it has stopped."),
        "a-queue-is-silent",
        _INFRASTRUCTURE,
        hold_s=30,
        hidden_by=("redis_down", "celery_silent"),
    ),
    Kind(
        "disk_full",
        _P1,
        _("{percent} percent of the disk are taken"),
        _("{free_gb} GB are free."),
        _("At 100 % PostgreSQL stops, and with it everything."),
        _("Find what grows (WAL, logs, images), free it, or expand the disk."),
        "a-disk-fills-or-connections-run-out",
        _INFRASTRUCTURE,
    ),
    # --- P2: late, and getting later --------------------------------------------------------------
    Kind(
        "telegram_away",
        _P2,
        _("Telegram does not answer"),
        _("{error}"),
        _("The money goes on by itself; ads and notices wait."),
        _("See whether api.telegram.org can be reached from this host; otherwise wait."),
        "telegram-is-silent",
        _INFRASTRUCTURE,
        hold_s=_FIVE_MINUTES_S,
    ),
    Kind(
        "webhook_silent",
        _P2,
        _("Telegram cannot bring its updates"),
        _("{pending} wait there. Last error: {error}"),
        _("The money goes on by itself; nobody can use the bot."),
        _("manage.py register_webhook registers again and shows what Telegram says."),
        "telegram-is-silent",
        _INFRASTRUCTURE,
        hold_s=120,
    ),
    Kind(
        "telegram_queue_silent",
        _P2,
        _("The Celery queue “{queue}” is silent"),
        _("Its last task ran: {beaten_at}."),
        _("The money goes on by itself; no ad is posted or checked, no notice goes out."),
        _("Look at the log of its worker; restart it if it has stopped."),
        "a-queue-is-silent",
        _INFRASTRUCTURE,
        hold_s=30,
        hidden_by=("redis_down", "celery_silent"),
    ),
    Kind(
        "chain_behind",
        _P2,
        _("The chain reader is over 30 minutes behind"),
        _("The chain is booked up to {block_at}, looked at {read_at}."),
        _("Deposits are not seen and payouts not confirmed; both are made up for."),
        _("Look at the log of the chain role; see whether TON Center answers and takes the key."),
        "a-deposit-is-not-booked",
        _MONEY,
    ),
    Kind(
        "deposits_late",
        _P2,
        _("{count} deposits were found over 30 minutes late"),
        _("The last: {amount} TON, {minutes} min after its block, deal {deal}."),
        _("They are booked now; a deal may have expired meanwhile, and is funded all the same."),
        _("Find out why the chain reader was late: its log, TON Center, the host's clock."),
        "a-deposit-is-not-booked",
        _MONEY,
        hidden_by=("chain_behind",),
    ),
    Kind(
        "deposit_waits",
        _P2,
        _("A deposit of {amount} TON has waited for {hours} h for an operator's word"),
        _("Deal {deal}, deposit {deposit}."),
        _("It lies in DEPOSIT_PENDING; the deal and its deadline stand still."),
        _("manage.py operate ask deposit.approve, or deposit.reject."),
        "what-operators-do-about-money",
        _MONEY,
    ),
    Kind(
        "consumers_silent",
        _P2,
        _("No consumer runs"),
        _("No group has a heartbeat in Redis."),
        _NOTICES_LATE,
        _("Start the consumer role; its log says why it ended."),
        "a-consumer-stands-still",
        _INFRASTRUCTURE,
        hold_s=_A_MINUTE_S,
        hidden_by=("redis_down", "kafka_down"),
    ),
    Kind(
        "consumer_silent",
        _P2,
        _("No process reads for {group}"),
        _("There is no heartbeat of it in Redis."),
        _NOTICES_LATE,
        _("Start the consumer role; its log says why it ended."),
        "a-consumer-stands-still",
        _INFRASTRUCTURE,
        hold_s=_A_MINUTE_S,
        hidden_by=("redis_down", "kafka_down", "consumers_silent"),
    ),
    Kind(
        "consumer_stopped",
        _P2,
        _("{group} has stopped: ten dead letters in a row"),
        _("It holds its partitions, and {lag} records wait."),
        _NOTICES_LATE,
        _("Find out what is wrong with the group or its sender; then restart the consumer."),
        "a-consumer-stands-still",
        _INFRASTRUCTURE,
    ),
    Kind(
        "consumer_stalled",
        _P2,
        _("{group} stands still at a record that fails"),
        _("{lag} records wait."),
        _NOTICES_LATE,
        _("The consumer's log says why the record fails; once mended it goes on by itself."),
        "a-consumer-stands-still",
        _INFRASTRUCTURE,
        hold_s=600,  # as long as the consumer itself waits before it says so
        hidden_by=("kafka_down",),
    ),
    Kind(
        "consumer_lag",
        _P2,
        _("{group} lags behind by {lag} records"),
        _("The limit is {limit}."),
        _NOTICES_LATE,
        _("See in its log whether it works at all; one more consumer process shares the load."),
        "a-consumer-stands-still",
        _INFRASTRUCTURE,
        hold_s=_A_MINUTE_S,
        hidden_by=("kafka_down",),
    ),
    Kind(
        "kafka_down",
        _P2,
        _("Kafka does not answer"),
        _("{error}"),
        _NOTICES_LATE,
        _("Start Kafka; events wait in the outbox meanwhile."),
        "a-service-is-away",
        _INFRASTRUCTURE,
        hold_s=_A_MINUTE_S,
    ),
    Kind(
        "outbox_waits",
        _P2,
        _("{count} events have waited in the outbox for over 5 minutes"),
        _("Topics: {topics}."),
        _NOTICES_LATE,
        _("The log of the worker for the money says why the relay does not send them."),
        "events-wait-in-the-outbox",
        _INFRASTRUCTURE,
        hidden_by=(*_NO_WORK, "kafka_down"),
    ),
    Kind(
        "outbox_failed",
        _P2,
        _("{count} events can never be sent"),
        _("The first: outbox row {row}, {event}. {error}"),
        _("Later events of the same deals and topics wait behind them; sweepers move the money."),
        _("Admin, Outbox, status FAILED: the column “error” says why."),
        "events-wait-in-the-outbox",
        _INFRASTRUCTURE,
    ),
    Kind(
        "table_stands",
        _P2,
        _("{count} rows of {table} are due, and nobody takes them"),
        _("The first: {row}, due since {due_at}."),
        _NOTHING_IS_LOST,
        _("Look at the log of the worker that the runbook names for this table."),
        "a-queue-is-silent",
        _INFRASTRUCTURE,
        hold_s=_A_MINUTE_S,
        hidden_by=_NO_WORK,
    ),
    Kind(
        "reconciliation_late",
        _P2,
        _("No reconciliation has ended for {minutes} minutes"),
        _("The last one ended: {finished_at}."),
        _("If the books were wrong, nobody would know."),
        _("Run manage.py reconcile by hand; then look at the worker for the money and at beat."),
        "a-queue-is-silent",
        _MONEY,
        hold_s=120,
        hidden_by=_NO_WORK,
    ),
    Kind(
        "reconciliation_broken",
        _P2,
        _("A reconciliation broke off"),
        _("{error}"),
        _("What it did not get to was not checked."),
        _("Run manage.py reconcile by hand, and mend what it stumbles over."),
        "is-the-money-right",
        _MONEY,
    ),
    Kind(
        "full_reconciliation_late",
        _P2,
        _("No full reconciliation has run for 26 hours"),
        _("The last one ended: {finished_at}."),
        _("A change behind the checkpoint would not be found."),
        _("Run manage.py reconcile by hand; then look at the worker for the money and at beat."),
        "a-queue-is-silent",
        _MONEY,
        hidden_by=_NO_WORK,
    ),
    Kind(
        "seal_late",
        _P2,
        _("The audit log has not been sealed for 5 minutes"),
        _("{count} entries wait, the first since {since}."),
        _("Until they are sealed, a change to them would not be found."),
        _("manage.py verify_audit; the log of the worker for the money says why it is not sealed."),
        "a-queue-is-silent",
        _INFRASTRUCTURE,
        hold_s=_A_MINUTE_S,
        hidden_by=_NO_WORK,
    ),
    Kind(
        "connections_run_out",
        _P2,
        _("{used} of {limit} database connections are taken"),
        _("Most by: {most}."),
        _("When none is left, requests and payouts wait."),
        _("manage.py db_activity says who holds them."),
        "the-database-has-no-connection-left",
        _INFRASTRUCTURE,
        hold_s=_A_MINUTE_S,
    ),
    Kind(
        "disk_filling",
        _P2,
        _("{percent} percent of the disk are taken"),
        _("{free_gb} GB are free."),
        _("At 100 % PostgreSQL stops, and with it everything."),
        _("Find what grows (WAL, logs, images), free it, or expand the disk."),
        "a-disk-fills-or-connections-run-out",
        _INFRASTRUCTURE,
        hidden_by=("disk_full",),
    ),
    Kind(
        "alarm_unheard",
        _P2,
        _("Alarms do not arrive: {channel}, {recipient}"),
        _("{count} were not delivered. {error}"),
        _NO_MONEY,
        _("Mend it, or take it out: link_operator, rota set, ALERT_* in .env."),
        "an-alarm-reaches-nobody",
        _INFRASTRUCTURE,
    ),
    Kind(
        "alarm_has_no_address",
        _P2,
        _("There is nobody to be woken"),
        _("No operator is linked to Telegram, and there is neither a hook nor mail."),
        _NO_MONEY,
        _("manage.py link_operator NAME TELEGRAM_ID, and ALERT_HOOK_URL in .env."),
        "an-alarm-reaches-nobody",
        _INFRASTRUCTURE,
    ),
    Kind(
        "detector_failed",
        _P2,
        _("It cannot be told whether all is well: {detector}"),
        _("{error}"),
        _("What this detector looks for may hold, and nobody would know."),
        _("The log of the watch role has the traceback; look at what it looks at by hand."),
        "it-cannot-be-told",
        _INFRASTRUCTURE,
        hold_s=30,
    ),
    # --- P3: without a sound ----------------------------------------------------------------------
    Kind(
        "deals_held",
        _P3,
        _("{count} deals are held for an operator"),
        _("The oldest: deal {deal}, {status}, {reason}."),
        _IN_ESCROW,
        _("Look into the channel; then manage.py operate ask dispute.open."),
        "a-deal-is-disputed-or-held",
        _MONEY,
    ),
    Kind(
        "dispute_overdue",
        _P3,
        _("Nobody has decided a dispute in time"),
        _("Deal {deal}, {reason}, open for {days} days."),
        _IN_ESCROW,
        _("Look at the evidence in Admin, Disputes; then manage.py operate ask dispute.decide."),
        "a-deal-is-disputed-or-held",
        _MONEY,
    ),
    Kind(
        "notices_failed",
        _P3,
        _("{count} messages about money were not delivered in the last 24 hours"),
        _("{failed} failed, {unreachable} people closed their chat. The last: {error}"),
        _("The money goes on by itself; somebody does not know of it."),
        _("Admin, Outgoing messages: FAILED ones were refused, the column “error” says why."),
        "telegram-is-silent",
        _MONEY,
    ),
    Kind(
        "dead_letters",
        _P3,
        _("{group}: {count} dead letters in the last 24 hours"),
        _("The last: {error}"),
        _("Sweepers do what the record would have done; a notice may be missing."),
        _("Admin, Dead letters: the record, and why it could not be applied."),
        "a-record-is-a-dead-letter",
        _INFRASTRUCTURE,
    ),
)
KINDS = {kind.name: kind for kind in _ALL}


def kind_named(name: str) -> Kind:
    """Return the kind of a stored incident; of one that the code no longer has, its name."""
    return KINDS.get(name) or Kind(
        name,
        Severity.P3,
        lazystr(name),
        lazystr(""),
        _("This version does not know what it means; its facts stand in Admin."),
        _("Find out whether it still holds; then manage.py incidents resolve."),
        "alarms",
        _INFRASTRUCTURE,
    )
