"""How this process and all that it needs are: a word for everybody, figures for operators.

Each check has 2 s, runs beside the others on a connection of its own, and never runs twice at the
same time: one that hangs is down until it answers, and takes no thread from a request.
"""
