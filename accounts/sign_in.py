"""The sign-in page of the back office."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from rest_framework.throttling import BaseThrottle

from advertmarket.errors import DomainError

from . import throttle

if TYPE_CHECKING:  # unfold is not typed
    from django.contrib.admin.forms import AdminAuthenticationForm as AuthenticationForm
else:
    from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """Name and password; refuses to look at either after too many wrong ones."""

    def clean(self) -> dict[str, Any]:
        """Check the password, as often as `throttle` lets it be tried."""
        tried = {
            "name": self.cleaned_data.get("username", ""),
            "address": BaseThrottle().get_ident(self.request),  # type: ignore[arg-type]  # META is all it reads
        }
        try:
            with transaction.atomic():
                throttle.count_try(**tried, at=timezone.now())
        except DomainError as refusal:
            raise ValidationError(str(refusal)) from refusal
        cleaned = super().clean()
        with transaction.atomic():
            throttle.forgive(**tried)
        return cleaned
