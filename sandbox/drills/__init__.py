"""The runbook's ten failures, each caused for real in the demo's stack, seen, mended and proved."""
