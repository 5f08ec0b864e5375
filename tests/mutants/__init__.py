"""Faults planted in the product on purpose: the suite has to find each of them."""
