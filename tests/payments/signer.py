"""`python -m tests.payments.signer`: a signer as in production, whose key may ask more often."""

from __future__ import annotations

from advertmarket.celery import SIGNER_QUEUE, app
from payments.ton import api

CALLS_PER_S = 500

if __name__ == "__main__":
    api._PAYOUT_SHARE_RPS = CALLS_PER_S
    queue = f"--queues={SIGNER_QUEUE}"
    app.worker_main(["worker", "--pool=threads", "--concurrency=2", queue, "--loglevel=INFO"])
