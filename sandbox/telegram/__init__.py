"""A local Telegram: the Bot API over HTTP, and a control plane that plays the people."""
