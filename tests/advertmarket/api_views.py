"""A small API of its own, to see the shared half of every API at work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from django.db import connection, transaction
from django.urls import path
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from advertmarket.api.fields import CamelSerializer, NanoField
from advertmarket.api.limits import Limit
from advertmarket.api.paging import KeysetPage, PageRequest
from advertmarket.api.views import ApiView, Data, command, query
from advertmarket.audit import services as audit
from advertmarket.audit.models import AuditEntry
from advertmarket.errors import Code, DomainError

handler400 = "advertmarket.api.problems.bad_request"
handler404 = "advertmarket.api.problems.page_not_found"
handler500 = "advertmarket.api.problems.server_error"

FEW = Limit("few", per_minute=3)


class NotNow(DomainError):
    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("The creative is {current_status}, so not {missing}.")
    public_facts = ("current_status",)
    retry_after_s = 7


class NoteBodySerializer(CamelSerializer):
    short_text = serializers.CharField(max_length=10)
    price_nano = NanoField(minimum=5)


class NoteSerializer(CamelSerializer):
    short_text = serializers.CharField()
    price_nano = NanoField()
    number = serializers.IntegerField()


class EntrySerializer(CamelSerializer):
    object_id = serializers.CharField()


@dataclass(frozen=True)
class Note:
    short_text: str
    price_nano: int
    number: int


class NotesView(ApiView):
    """POST leaves a row in the audit log; what happens before its commit is for tests to say."""

    before_commit: ClassVar[Any] = staticmethod(lambda: None)

    @query(answer=EntrySerializer, paged=True)
    def get(self, page: PageRequest) -> KeysetPage[AuditEntry]:
        return page.of(AuditEntry.objects.all(), order=("-at", "-id"))

    @command(body=NoteBodySerializer, answer=NoteSerializer, status=201)
    def post(self, body: Data) -> Note:
        assert transaction.get_connection().in_atomic_block
        audit.record(
            actor=self.actor,
            action="note",
            object_type="note",
            object_id=body["short_text"],
            before=None,
            after=None,
            at=self.at,
        )
        NotesView.before_commit()
        if body["short_text"] == "refused":
            raise NotNow(current_status="DRAFT", missing="sent")
        return Note(body["short_text"], body["price_nano"], AuditEntry.objects.count())

    @command()
    def put(self) -> None:
        raise ZeroDivisionError("secret detail")


class NetworkView(ApiView):
    """Notes of each call whether it held a connection to the database."""

    calls: ClassVar[list[bool]] = []

    def ask(self, body: Data) -> str:
        NetworkView.calls.append(connection.connection is not None)
        return str(body["short_text"]) + "!"

    @command(
        body=NoteBodySerializer, answer=NoteSerializer, prepare=lambda view, body: view.ask(body)
    )
    def post(self, answered: str) -> Note:
        return Note(answered, 7, 1)


class FewView(ApiView):
    read_limit = write_limit = FEW

    @query(answer=NoteSerializer)
    def get(self) -> Note:
        return Note("few", 7, 1)

    @command(answer=NoteSerializer)
    def post(self) -> Note:
        return Note("few", 7, 1)


urlpatterns = [
    path("api/v1/notes", NotesView.as_view()),
    path("api/v1/network", NetworkView.as_view()),
    path("api/v1/few", FewView.as_view()),
]
