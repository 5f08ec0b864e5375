"""PostgreSQL, Redis and Kafka without Docker: servers from wheels, children of this process."""

from .stack import Services

__all__ = ["Services"]
