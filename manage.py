#!/usr/bin/env python
"""Django's command line."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    if sys.argv[1:2] == ["generate_secrets"]:
        os.environ["PROCESS_ROLE"] = "build"  # there are no secrets yet
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "advertmarket.settings")
    execute_from_command_line(sys.argv)
