"""A local TON chain that speaks TON Center's HTTP API, over the real transaction executor.

    python -m sandbox.ton --port 8081 --block-ms 500 --indexer-lag-ms 300 --journal ton.journal

`/api/v2/...` reads the node, `/api/v3/...` the indexer behind it; `/sim/...` is the control plane
(`control.Chain` is its client). Contracts, fees, hashes, exit codes, phases are the engine's own.

As on the real network: an internal message arrives in a later block than the one that sent it; a
message that is not valid any more when its block is made vanishes in silence; an account's first
transaction in a block has the block's logical time, whatever other accounts do; the indexer keeps
an account's state at the end of each block only, so that an earlier transaction of the same block
has `account_state_after: null`.

Not as on the real network: one basechain shard, made together with its masterchain block; no
validators, so no elections and made-up block hashes; the elector's and the configuration's code do
nothing; an external message is tried in one block only; the faucet's account is not on the chain.
"""
