"""Check 16: the audit log is what was written."""

from __future__ import annotations

from collections.abc import Iterator

from advertmarket.audit import blocks, verify, witness

from . import CouldNotLook, Finding, Look, Severity, check

_FIGURES = """
SELECT coalesce(max(number), 0) AS blocks, coalesce(sum(entries), 0) AS sealed_entries,
       (SELECT count(*) FROM audit_log
         WHERE id > coalesce((SELECT max(last_id) FROM audit_seals), 0)) AS not_sealed_yet
  FROM audit_seals
"""


def _ask_redis() -> tuple[int, str] | None:
    try:
        return witness.remembered()
    except witness.WitnessAway as away:
        raise CouldNotLook(str(away)) from away


@check(16, Severity.CRITICAL, ask=_ask_redis)
def the_audit_log_is_unbroken(look: Look) -> Iterator[Finding]:
    """The audit log is what was sealed: nothing was changed, deleted, slipped in or cut off."""
    look.figure(_FIGURES)
    for block, entry, what in look.rows(blocks.CHANGED_ENTRIES):
        yield Finding(f"audit entry {entry}", f"{what}, block {block}")
    for found in verify.broken_blocks(after=look.scope.after_seal):
        yield Finding(f"audit block {found.block}", found.problem)
    for found in verify.cut_end(look.told):
        yield Finding(f"audit block {found.block}", found.problem)
