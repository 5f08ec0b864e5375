"""The document of a deal's states, made from `lifecycle`."""

from __future__ import annotations

from pathlib import Path

from .lifecycle import DEADLINE_S, DISPUTE_S, GRACE_S, HOUR_S, OVER, TRANSITIONS, Status

PATH = Path(__file__).resolve().parent.parent / "docs" / "deal-states.md"

_HEAD = """# A deal's states

Made from `deals/lifecycle.py` by `python manage.py draw_deal_states`; a test compares them.
"""


def document() -> str:
    """Return docs/deal-states.md: a diagram, the transitions, the deadlines."""
    sections = [_HEAD, _diagram(), _transitions(), _deadlines()]
    return "\n".join(sections)


def _diagram() -> str:
    edges: dict[tuple[str, str], list[str]] = {}
    for line in TRANSITIONS:
        labels = edges.setdefault((line.source, line.target), [])
        if line.action not in labels:
            labels.append(line.action)
    lines = [f"    {s} --> {t}: {', '.join(labels)}" for (s, t), labels in edges.items()]
    ends = [f"    {status} --> [*]" for status in Status if status in OVER]
    start = f"    [*] --> {Status.DRAFT}"
    return "\n".join(["```mermaid", "stateDiagram-v2", start, *lines, *ends, "```", ""])


def _transitions() -> str:
    rows = [
        f"| {t.source} | {t.target} | {t.role} | {t.action.label} | {t.event.TYPE} |"
        for t in TRANSITIONS
    ]
    return "\n".join(
        ["| from | to | who | when | event |", "|---|---|---|---|---|", *rows, ""],
    )


def _deadlines() -> str:
    deadlines = {**DEADLINE_S, Status.DISPUTED: DISPUTE_S}
    rows = [f"| {status} | {seconds // HOUR_S} h |" for status, seconds in deadlines.items()]
    note = (
        f"A deadline counts from the entry into the state, in {Status.SCHEDULED} from the time of "
        f"publication,\nin {Status.DELIVERY_VERIFYING} from the end of the retention time; "
        f"{GRACE_S // 60} minutes of grace follow. Then the\ndeal expires, and what was paid goes "
        f"back. Where the money may have been earned, in {Status.CREATIVE_SUBMITTED} and\n"
        f"{Status.DELIVERY_VERIFYING}, and in {Status.SCHEDULED} if a post may be there, a dispute "
        f"is opened instead. In {Status.DISPUTED}\nthe dispute is escalated, again and again. "
        "`DEADLINE_SCALE` scales them all."
    )
    return "\n".join(["| state | deadline |", "|---|---|", *rows, "", note, ""])
