"""`python -m tests.advertmarket.messaging.child COMMAND...`: manage.py that knows `app`.

`relay` runs the relay once.
"""

from __future__ import annotations

import logging
import os
import sys

import django
from django.core.management import call_command

from tests import environment

for name, value in environment.VARIABLES.items():
    os.environ.setdefault(name, value)
django.setup()
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
logging.getLogger().setLevel(logging.INFO)

from tests.advertmarket.messaging import app  # noqa: E402, F401

if sys.argv[1] == "relay":
    from advertmarket.messaging.relay import relay

    relay()
else:
    call_command(*sys.argv[1:])
