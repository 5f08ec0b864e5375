"""A real Apache Kafka: one node, broker and controller, without Docker."""

from .distribution import Unavailable, jars
from .server import Kafka

__all__ = ["Kafka", "Unavailable", "jars"]
