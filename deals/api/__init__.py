"""Deals over HTTP."""
