"""The process: it keeps the chain over a SIGKILL, stops in order, and has a rate limit."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from sandbox.ton.control import Chain
from tests.sandbox.ton.api import TON, Api, Failure, soon
from tests.sandbox.ton.conftest import NewWallet, StartChain
from tests.waiting import wait_until


def test_a_killed_chain_comes_back_as_it_was(
    start_chain: StartChain, new_wallet: NewWallet, tmp_path: Path
) -> None:
    options = ("--block-ms=0", f"--journal={tmp_path / 'ton.journal'}")
    running = start_chain(*options)
    sender, recipient = new_wallet(), new_wallet()
    with Chain(running.url) as chain:
        chain.faucet(sender.address, 5 * TON)
        chain.freeze_clock()
        chain.advance(3600)
        api = Api(running.url)
        api.send(sender.signed_transfer(recipient.address, TON, seqno=0, valid_until=soon(chain)))
        chain.mine(2)
        before = (chain.state(sender.address), chain.state(recipient.address), chain.totals())
        head, now = api.v2("getMasterchainInfo"), chain.now()
        api.send(sender.signed_transfer(recipient.address, TON, seqno=1, valid_until=soon(chain)))
        api.close()

    running.child.kill()
    again = start_chain(*options)

    api = Api(again.url)
    with Chain(again.url) as chain:
        assert api.v2("getMasterchainInfo") == head
        assert chain.now() == now
        assert len(chain.state(sender.address)["pending"]) == 1
        state = {**chain.state(sender.address), "pending": []}
        assert (state, chain.state(recipient.address), chain.totals()) == before
        chain.mine(2)
        assert chain.balance(recipient.address) == 2 * TON
    api.close()


def test_a_journal_line_cut_short_is_dropped(
    start_chain: StartChain, new_wallet: NewWallet, tmp_path: Path
) -> None:
    journal = tmp_path / "ton.journal"
    options = ("--block-ms=0", f"--journal={journal}")
    wallet = new_wallet()
    running = start_chain(*options)
    with Chain(running.url) as chain:
        chain.faucet(wallet.address, TON)
    running.child.kill()
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"kind": "Mined", "at"')

    again = start_chain(*options)

    with Chain(again.url) as chain:
        assert chain.balance(wallet.address) == TON
    assert journal.read_bytes() == whole


def test_sigterm_ends_it_in_order(start_chain: StartChain) -> None:
    child = start_chain("--block-ms=50").child
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0
    assert child.output().count("\n") == 1


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    command = f"{sys.executable} -m sandbox.ton >> {log} & echo $!; exec sleep 60"
    with subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_until(lambda: "ready" in log.read_text())
        parent.kill()
    wait_until(lambda: not _runs(pid))


def test_the_rate_is_ten_times_higher_with_a_key(start_chain: StartChain) -> None:
    url = start_chain("--block-ms=0", "--rps=2").url
    stranger, customer = Api(url), Api(url, api_key="key")

    answers = [stranger.v3("masterchainInfo") for _ in range(3)]
    assert [isinstance(one, Failure) for one in answers] == [False, False, True]
    assert (answers[2].status, answers[2].headers["Retry-After"]) == (429, "1")
    assert answers[2].body == {"error": "Ratelimit exceed", "code": 429}
    answers = [customer.v3("masterchainInfo") for _ in range(21)]
    assert [isinstance(one, Failure) for one in answers] == [False] * 20 + [True]
    for api in (stranger, customer):
        api.close()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # empty: dead, not waited for yet
    except FileNotFoundError:
        return False
