"""A local Telegram: the Bot API over HTTP, and a control plane that plays the people.

`python -m sandbox.telegram --port 0` prints `ready http://127.0.0.1:PORT`; in a test,
`with serving() as server` (sandbox.telegram.server) runs one in a thread. The page at `/` shows the
chats and acts as their people; `control.Telegram(url)` does so from Python.

What differs from the real one: one bot; HTML is the only parse mode; HTTP webhooks are accepted (as
by a local Bot API server); nothing is fetched from the network; addresses without a scheme are
recognised in texts for a few top-level domains only; the sending limits are off unless asked for.
"""
