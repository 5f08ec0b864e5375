"""At the end: does each wallet hold, on chain and to the nano, what the books say?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .deal import Deal
from .people import Market

_LINE = re.compile(r"same  books (\d+)  chain (\d+)  wallet \d+  (\S+)  deal (\S+)")


class NotProved(Exception):
    """A wallet does not hold what the books say, or a check of the books failed."""


def prove(market: Market, deals: Mapping[Deal, str]) -> Iterator[str]:
    """Yield a line for the wallet of each of the named deals, then one for the books' checks.

    Raises:
        NotProved: something differs.
        subprocess.CalledProcessError: a command of the product says so.
    """
    names = {str(deal.id): name for deal, name in deals.items()}
    proved = set()
    for line in market.stack.manage("prove_wallets").splitlines():
        if not (match := _LINE.fullmatch(line)):
            continue
        books, said, address, reference = match.groups()
        chain = market.chain.balance(address)
        if not int(books) == int(said) == chain:
            raise NotProved(f"{line}; the chain itself: {chain}")
        proved.add(reference)
        name = names.get(reference, "another")
        yield f"{name:<9}  books {books:>11} = chain {chain:>11} nanoTON  {address}"
    if missing := names.keys() - proved:
        raise NotProved(f"no proof of the wallets of the deals {', '.join(missing)}")
    verdicts = market.stack.manage("reconcile").splitlines()
    if not verdicts or any(line.split()[1] != "pass" for line in verdicts):
        raise NotProved("\n".join(verdicts))
    yield f"reconcile: all {len(verdicts)} checks of the books pass"
