"""Operations: what operators do about money, with a reason, audited, some with a second person.

`requests` is the door; the operations themselves stand beside it, one function each, or in another
app's `operations.py`.
"""
