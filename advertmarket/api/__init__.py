"""The HTTP API's shared half: views, problems, paging, idempotency, rate limits, schema.

An app's views import `ApiView`, `command`, `query` from `.views`, serializers' bases from
`.fields`, and `KeysetPage`, `PageRequest` from `.paging`.
"""
