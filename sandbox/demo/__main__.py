"""python -m sandbox.demo [--once]: from nothing to five deals, and a console to look at."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time

from advertmarket.money import format_ton
from sandbox.process import ChildFailed, stop_requested
from sandbox.scratch import scratch_dir
from sandbox.ton.wallets import DidNotLand

from .api import ApiRefused, TookTooLong
from .deal import Step
from .opening import COMPRESSED, OPERATOR, start
from .people import Market
from .proof import NotProved, prove
from .stack import Stack
from .story import Story
from .troubles import Troubles


def main() -> int:
    """Run the demo; 0 if every deal went as it should, and its wallet holds what the books say."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the deals")
    arguments = parser.parse_args()
    root = scratch_dir()
    try:
        return _run(Stack(root, ephemeral=True, settings=COMPRESSED), once=arguments.once)
    except (ApiRefused, ChildFailed, DidNotLand, NotProved, TookTooLong) as reason:
        print(f"DEMO FAILED: {reason}", flush=True)
        return 1
    except subprocess.CalledProcessError as failed:
        print(f"DEMO FAILED: {' '.join(failed.cmd)}\n{failed.stdout}", flush=True)
        return 1
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _run(stack: Stack, *, once: bool) -> int:
    with stop_requested() as stop, stack:
        began = time.monotonic()
        password = start(stack)
        print(f"everything is up after {time.monotonic() - began:.1f} s\n", flush=True)
        result = _live(stack, password, began)
        if not once:
            _show(stack, password)
            while not stop.wait(0.5):
                if dead := stack.dead():
                    print(f"ended by itself: {', '.join(dead)}", file=sys.stderr)
                    return 1
            print("shutting down in order…", flush=True)
    print(result, flush=True)
    return 0


def _live(stack: Stack, password: str, began: float) -> str:
    with Market(stack) as market:
        story = Story(market)
        for number, step in enumerate(story.steps(), 1):
            print(f"{number:>2}. {_elapsed(began)}  {_line(step)}", flush=True)
            print(f"    {_standing(step)}, owner {format_ton(step.owner_nano)}", flush=True)
        completed = (
            f"DEMO OK deal={story.deal.id} status={story.status}"
            f" owner_received_nano={story.owner_received_nano()} payout_tx={story.payout_tx}"
        )
        print(
            "\nFour more deals, side by side"
            " (the chain takes its fees, and now and then a nano for storage):\n",
            flush=True,
        )
        troubles = Troubles(market, operator=OPERATOR, password=password)
        for name, step in troubles.steps():
            print(f"{name:<9}  {_elapsed(began)}  {_line(step)}", flush=True)
            print(
                f"           {_standing(step)}, advertiser {format_ton(step.advertiser_nano)},"
                f" owner {format_ton(step.owner_nano)}",
                flush=True,
            )
        print("\nEach wallet by the books and on chain:\n", flush=True)
        for line in prove(market, {story.deal: "completed", **troubles.deals}):
            print(line, flush=True)
        print(flush=True)
        return f"{completed} seconds={time.monotonic() - began:.1f}"


def _elapsed(began: float) -> str:
    return f"{time.monotonic() - began:5.1f} s"


def _line(step: Step) -> str:
    return f"{step.who}: {step.what}"


def _standing(step: Step) -> str:
    books = " ".join(f"{name}={format_ton(nano)}" for name, nano in step.books.items()) or "—"
    return (
        f"deal {step.status} | ledger {books} | on chain: deal {format_ton(step.deal_wallet_nano)}"
    )


def _show(stack: Stack, password: str) -> None:
    print(
        f"\nadmin     {stack.web_url}/admin/   {OPERATOR} / {password}"
        f"\nAPI docs  {stack.web_url}/api/v1/docs"
        f"\nTelegram  {stack.telegram_url}/"
        "\n\nCtrl-C shuts everything down.",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
