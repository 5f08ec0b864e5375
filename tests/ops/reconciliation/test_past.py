"""The past that other tests begin with is one that the checks believe."""

from __future__ import annotations

import pytest

from ops import checks
from payments.models import Posting

from .past import POSTINGS_A_DEAL, live


@pytest.mark.django_db
def test_it_is_whole() -> None:
    live(2)
    live(3, first=3)

    assert Posting.objects.count() == 5 * POSTINGS_A_DEAL
    assert checks.run_all() == {}
