"""The money at random: real books, chain and processes against a model in plain Python."""
