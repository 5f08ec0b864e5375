"""Disputes: opened by a side, the system or an operator; evidence; an operator's decision."""
