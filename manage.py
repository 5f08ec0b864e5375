#!/usr/bin/env python
"""Django's command line."""

import os
import sys
from tempfile import TemporaryDirectory

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    if sys.argv[1:2] == ["generate_secrets"]:
        os.environ["PROCESS_ROLE"] = "build"  # there are no secrets yet
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "advertmarket.settings")
    if sys.argv[1:2] == ["serve"]:  # several processes that count together, in a new folder
        with TemporaryDirectory(prefix="advertmarket-metrics-") as folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            execute_from_command_line(sys.argv)
    else:
        execute_from_command_line(sys.argv)
