"""Everything that wakes somebody.

`detectors/` say which causes hold now. The process of the `watch` role (`watch.py`) asks them every
few seconds, turns what they say into incidents (`follow.py`), rings for those that nobody answers
(`clocks.py`), and tells people (`alerts.py`, `sending.py`). It needs PostgreSQL alone; without that
it tells people from memory (`outage.py`). It uses no Celery, no Redis and no Kafka to do so.
"""
