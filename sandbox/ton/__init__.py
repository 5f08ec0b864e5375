"""A local TON chain that speaks TON Center's HTTP API, over the real transaction executor."""
