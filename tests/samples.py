"""What this process shows to Prometheus."""

from __future__ import annotations

from prometheus_client import REGISTRY


def sample(name: str, **labels: str) -> float:
    """Return the present value of a sample; 0 of one that nothing was counted under yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Since:
    """How much samples grew since this was made."""

    def __init__(self) -> None:
        self._before = {
            (one.name, tuple(sorted(one.labels.items()))): one.value
            for family in REGISTRY.collect()
            for one in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """Return by how much a sample grew."""
        before = self._before.get((name, tuple(sorted(labels.items()))), 0.0)
        return sample(name, **labels) - before
