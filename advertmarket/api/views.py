"""The base of every API view: who asks, when, how often; and one way to answer.

A view of an app looks like this, and does nothing else::

    class DealsView(ApiView):
        read_limit, write_limit = limits.DEALS_READ, limits.DEALS_WRITE

        @query(answer=DealSerializer, params=DealFilter, paged=True)
        def get(self, params: Data, page: PageRequest) -> KeysetPage[DealView]:
            return selectors.list_deals(user_id=self.caller_id, page=page, **params)

        @command(body=NewDealSerializer, answer=DealSerializer, status=201)
        def post(self, body: Data) -> DealView:
            return services.create_deal(**body, actor=self.actor, at=self.at)
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.db import transaction
from django.utils import timezone, translation
from rest_framework.exceptions import NotAuthenticated, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from advertmarket.actors import Actor
from advertmarket.db import release_connection

from .callers import caller_of
from .idempotency import IdempotencyKey, StoredAnswer
from .limits import ALL, Allowance, Limit, take_all
from .paging import PageParams, PageRequest
from .schema import describe_command, describe_query

Data = Mapping[str, Any]
AnySerializer = type[BaseSerializer[Any]]


class SignedIn(BasePermission):
    """Only callers with a valid session."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether somebody is signed in."""
        return caller_of(request) is not None


class AlwaysJson(DefaultContentNegotiation):
    """The API has one form; an Accept header changes nothing."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the only renderer."""
        return renderers[0], renderers[0].media_type


class JsonParser(JSONParser):
    """JSON, but none that is nested too deeply to read or holds halves of surrogate pairs."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the body; DRF's ParseError for anything that is not such JSON."""
        try:
            body = super().parse(stream, media_type, parser_context)
            json.dumps(body, ensure_ascii=False).encode()
        except (RecursionError, UnicodeEncodeError) as error:
            raise ParseError from error
        return body


class ApiView(APIView):
    """A view for signed-in Telegram users (`authentication_classes = permission_classes = []`
    makes it public; its limits then count by IP address).

    In a handler: `self.caller_id` (Telegram's id), `self.actor`, and `self.at`, the request's one
    reading of the clock. Error texts are in the caller's language.
    """

    permission_classes = [SignedIn]
    parser_classes = [JsonParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = AlwaysJson
    metadata_class = None
    read_limit: ClassVar[Limit | None] = None
    write_limit: ClassVar[Limit | None] = None

    at: datetime
    _allowance: Allowance | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Read the clock, then let DRF authenticate, permit and limit."""
        self.at = timezone.now()
        super().initial(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        """Find out who asks, and speak their language."""
        if caller := caller_of(request):
            translation.activate(caller.language)

    def check_throttles(self, request: Request) -> None:
        """Take one token of each of the view's limits."""
        own = self.read_limit if request.method in SAFE_METHODS else self.write_limit
        limits = [own] if own else []
        if caller_of(request):
            limits.append(ALL)
        self._allowance = take_all(request, tuple(limits))

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Tell how much is left, and that nobody on the way may keep the answer."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        if self._allowance is not None:
            for name, value in self._allowance.headers().items():
                answer[name] = value
        return answer

    @property
    def caller_id(self) -> int:
        """The Telegram id of the signed-in user."""
        caller = caller_of(self.request)
        if caller is None:
            raise NotAuthenticated
        return caller.pk

    @property
    def actor(self) -> Actor:
        """The signed-in user, for services."""
        return Actor.user(self.caller_id)


def query(
    *, answer: AnySerializer, params: AnySerializer | None = None, paged: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Make a handler of GET: it returns what `answer` serializes.

    With `params`, the handler gets the validated query parameters first; if `paged`, a
    `PageRequest` next, and it returns a `KeysetPage`. Path parameters come by name.
    """

    def decorate(handler: Callable[..., Any]) -> Callable[..., Response]:
        @functools.wraps(handler)
        def handle(view: ApiView, request: Request, **path: Any) -> Response:
            given: list[object] = []
            if params is not None:
                given.append(_validated(params, request.query_params))
            if not paged:
                return Response(answer(handler(view, *given, **path)).data)
            page = handler(
                view, *given, PageRequest(**_validated(PageParams, request.query_params)), **path
            )
            return Response(
                {
                    "items": answer(page.items, many=True).data,
                    "nextCursor": page.next_cursor,
                    "hasNext": page.has_next,
                }
            )

        return describe_query(handle, answer=answer, params=[params] if params else [], paged=paged)

    return decorate


def command(
    *,
    answer: AnySerializer | None = None,
    body: AnySerializer | None = None,
    status: int | None = None,
    prepare: Callable[[Any, Any], object] | None = None,
    idempotent: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Make a handler of POST, PUT, PATCH or DELETE: one database transaction around it.

    With `body`, the handler gets the validated body first; with `prepare` (for what needs the
    network), what `prepare(view, body)` returned before the database transaction began; if it reads
    the database itself, it calls `release_connection` before the network. It returns what `answer`
    serializes (nothing: 204). A POST obeys Idempotency-Key unless not `idempotent`.
    """
    done = status or (HTTPStatus.NO_CONTENT if answer is None else HTTPStatus.OK)

    def decorate(handler: Callable[..., Any]) -> Callable[..., Response]:
        @functools.wraps(handler)
        def handle(view: ApiView, request: Request, **path: Any) -> Response:
            given: list[object] = [] if body is None else [_validated(body, request.data)]
            key = IdempotencyKey.of(request) if keyed else None
            if key and (stored := key.find_answer(at=view.at)):
                return _replay(stored)
            if prepare is not None:
                release_connection()
                given = [prepare(view, *given)]
            with transaction.atomic():
                if key:
                    key.lock()
                    if stored := key.find_answer(at=view.at):
                        return _replay(stored)
                result = handler(view, *given, **path)
                data = None if answer is None else answer(result).data
                if key:
                    key.keep(StoredAnswer(done, _render(data)), at=view.at)
            return Response(data, status=done)

        keyed = idempotent and handler.__name__ == "post"
        return describe_command(handle, answer=answer, body=body, status=done, keyed=keyed)

    return decorate


def _validated(serializer: AnySerializer, data: object) -> dict[str, Any]:
    checked = serializer(data=data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def _render(data: object) -> str:
    rendered: bytes = JSONRenderer().render(data)
    return rendered.decode()


def _replay(stored: StoredAnswer) -> Response:
    data = json.loads(stored.body) if stored.body else None
    return Response(data, status=stored.status, headers={"Idempotent-Replayed": "true"})
