"""What operators do about money: each deed with a reason, audited, and some with a second person.

`requests` is the door; the deeds themselves stand beside it, one function each, or in another
app's `operations.py`.
"""
