"""The verifiers, for threads and for asyncio."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import httpx

from bitting.copies import NEVER, Copies, Entry, missing_scopes
from bitting.tokens import SigningKeys, Token, is_signed_by, parse

T = TypeVar("T")

# The time without a question about the feed after one that was refused.
REFUSED_FEED_MS = 60 * 1000
# The attempts to get an answer that no change contradicts.
ATTEMPTS = 3
# The path of the public keys of derived tokens.
KEY_SET = "/.well-known/jwks.json"

STATUS = {"valid": 200, "conditions_not_met": 403, "insufficient_scope": 403, "organization_suspended": 403, "unavailable": 503}
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Verdict:
    """The result of a verification."""

    valid: bool
    """True if the key is valid and holds all required scopes."""
    code: str
    """`valid`, or why the key is not: a code of Bitting's, `missing_api_key`, or `unavailable` if nobody can tell."""
    status: int
    """The HTTP status for the caller: 200, 401, 403 or 503."""
    missing_scopes: tuple[str, ...] = ()
    """The required scopes that the key lacks, if it is otherwise valid."""
    key: Mapping[str, Any] = field(default_factory=dict)
    """Bitting's answer about the key: `key_id`, `owner`, `scopes`, `operator_metadata` and so on."""


@dataclass(frozen=True)
class Caller:
    """Who presents a key. A key with conditions about what is not told here is refused."""

    ip: str | None = None
    """The address, from the connection or from a proxy of your own, never from a header that a caller can set."""
    country: str | None = None
    """The country: a code of ISO 3166-1, or what Cloudflare says."""


def bearer(authorization: str | None) -> str | None:
    """The key in the header `Authorization`; None if there is none."""
    match = re.fullmatch(r"(?i:Bearer) +(\S+) *", authorization or "")
    return match[1] if match else None


class _Follower:
    """What both verifiers have in common: all but the calls."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        max_staleness_ms: float = float("inf"),
        max_keys: int = 10_000,
        on_error: Callable[[Exception], None] = lambda error: None,
        clock: Callable[[], float] | None = None,
        wall_clock: Callable[[], float] | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"}
        self._on_error = on_error
        self._clock = clock or _elapsed()
        self._wall_clock = wall_clock or (lambda: time.time() * 1000)
        self._copies = Copies(max_keys, max_staleness_ms)
        self._signing_keys = SigningKeys()
        self._last = NEVER
        self._polled_at = NEVER
        # Threads share the memory. No call is made while one holds it.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """The number of keys in memory."""
        return len(self._copies)

    def _now(self) -> float:
        """The time by the clock, and later than each time before, so that it orders what happens within one tick."""
        self._last = max(self._clock(), self._last + 0.0001)
        return self._last

    def _begin(self) -> float:
        with self._lock:
            return self._now()

    def _judge(self, name: str, since: float, scopes: Sequence[str], asked: Entry | None = None) -> Verdict | None:
        with self._lock:
            answer = self._copies.judge(name, self._now(), since, asked)
        return _verdict(answer, scopes) if answer is not None else None

    def _question(self, name: str, key: str, client: Caller | None, attempt: int) -> tuple[dict[str, Any], float]:
        question: dict[str, Any] = {"key": key}
        if client:
            question["client"] = {"ip": client.ip, "country": client.country}
        with self._lock:
            contradiction = self._copies.contradiction(name)
            if contradiction:
                return {**question, "at_least": contradiction}, self._now()
            return {**question, **({"freshness": "strong"} if attempt > 0 else {})}, self._now()

    def _keep(self, name: str, response: httpx.Response, sent_at: float) -> Entry:
        answer = _read(response)
        if not isinstance(answer.get("valid"), bool):
            raise ValueError("the answer to the verification has no `valid`")
        with self._lock:
            self._copies.keep(name, answer, sent_at)
        return Entry(answer, sent_at, asked_at=sent_at)

    def _keys_due(self, token: Token | None = None) -> float | None:
        """The instant of the question, if the public keys must be read: for this token, or behind an answer."""
        with self._lock:
            now = self._now()
            due = self._signing_keys.is_due(token.key_id, now) if token else self._signing_keys.is_due_behind(now)
        return now if due else None

    def _keep_keys(self, response: httpx.Response, sent_at: float) -> None:
        answer = _read(response)
        with self._lock:
            self._signing_keys.keep(answer, sent_at)

    def _refusal(self, token: Token, audience: str) -> str | None:
        """The code for a token that is no good by itself."""
        with self._lock:
            key = self._signing_keys.get(token.key_id, self._now())
        claims = token.claims
        is_for_us = claims.get("iss") == self._url and claims.get("aud") == audience
        if key is None or not is_for_us or not is_signed_by(key, token):
            return "invalid_token"
        return "token_expired" if claims["exp"] * 1000 <= self._wall_clock() else None

    def _judge_token(self, token: Token, was_read: bool = False) -> str | None:
        with self._lock:
            return self._copies.judge_token(token.claims, self._now(), was_read)

    def _token_question(self, token: Token) -> tuple[dict[str, int], float]:
        with self._lock:
            return {"after": self._copies.after_for(token.claims)}, self._now()

    def _due(self, name: str) -> tuple[bool, tuple[dict[str, int], float] | None]:
        """Whether to ask about a key again, and how to ask for the feed's news if they are due."""
        with self._lock:
            is_due = self._copies.use(name, self._now())
            sent_at, bound_ms = self._now(), self._copies.bound_ms
            is_young = self._copies.feed_age_ms(sent_at) <= bound_ms / 2
            if is_young or sent_at - self._polled_at < bound_ms / 4 or bound_ms <= 0:
                return is_due, None
            self._polled_at = sent_at
            return is_due, ({"after": self._copies.head} if self._copies.head > 0 else {}, sent_at)

    def _hear(self, response: httpx.Response, asked: dict[str, int], sent_at: float) -> None:
        if response.status_code in (401, 403):
            with self._lock:
                self._polled_at = sent_at + REFUSED_FEED_MS
        answer = _read(response)
        with self._lock:
            self._copies.hear(answer, asked.get("after"), sent_at)


class Verifier(_Follower):
    """Verifies keys in memory, and refuses a revoked key within the bound. One for each process, for all threads."""

    def __init__(self, url: str, key: str, *, client: httpx.Client | None = None, **options: Any) -> None:
        super().__init__(url, key, **options)
        self._client = client or httpx.Client(timeout=3)
        self._asking: dict[tuple[str, Caller | None], Future[Entry]] = {}

    def verify(self, key: str | None, scopes: Sequence[str] = (), client: Caller | None = None) -> Verdict:
        """Verifies a key. Never raises: if Bitting cannot be asked, the verdict is `unavailable`."""
        if not key or not _is_well_formed(key):
            return _refused("malformed_api_key" if key else "missing_api_key")
        name, since = _digest(key), self._begin()
        try:
            for attempt in range(ATTEMPTS):
                if verdict := self._judge(name, since, scopes):
                    self._after(name, key)
                    return verdict
                asked = self._ask(name, key, client, attempt)
                if asked.answer.get("conditional") and (own := self._judge(name, since, scopes, asked)):
                    return own
            if verdict := self._judge(name, since, scopes):
                return verdict
        except Exception as error:
            self._on_error(error)
        return _refused("unavailable")

    def verify_token(self, token: str | None, audience: str, scopes: Sequence[str] = ()) -> Verdict:
        """Verifies a derived token for this audience. Never raises. Needs the extra `tokens`."""
        parsed = parse(token) if token else None
        if parsed is None:
            return _refused("malformed_token" if token else "missing_token")
        try:
            if (sent_at := self._keys_due(parsed)) is not None:
                self._keep_keys(self._client.get(f"{self._url}{KEY_SET}"), sent_at)
            if code := self._refusal(parsed, audience):
                return _refused(code)
            code = self._judge_token(parsed)
            if code is None:
                question = self._token_question(parsed)
                self._hear(self._client.get(f"{self._url}/v1/feed", params=question[0], headers=self._headers), *question)
                code = self._judge_token(parsed, was_read=True)
            self._after("", "")
            return _token_verdict(code or "unavailable", parsed.claims, scopes)
        except Exception as error:
            self._on_error(error)
        return _refused("unavailable")

    def _ask(self, name: str, key: str, client: Caller | None = None, attempt: int = 0) -> Entry:
        """Asks about a key. Callers that come meanwhile for the same client wait for the same answer."""
        with self._lock:
            asking = self._asking.get((name, client))
            if asking is None:
                own: Future[Entry] = Future()
                self._asking[name, client] = own
        if asking is not None:
            return asking.result()
        try:
            body, sent_at = self._question(name, key, client, attempt)
            response = self._client.post(f"{self._url}/v1/keys/verify", json=body, headers=self._headers)
            asked = self._keep(name, response, sent_at)
            own.set_result(asked)
            return asked
        except Exception as error:
            own.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._asking[name, client]

    def _after(self, name: str, key: str) -> None:
        is_due, question = self._due(name)
        keys_at = self._keys_due()
        if is_due or question or keys_at is not None:
            self._spawn(lambda: self._behind(name, key, is_due, question, keys_at))

    def _spawn(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True).start()

    def _behind(
        self, name: str, key: str, is_due: bool, question: tuple[dict[str, int], float] | None, keys_at: float | None
    ) -> None:
        """What is done behind an answer, for later ones. Its failure is no failure of this one."""
        try:
            if question:
                response = self._client.get(f"{self._url}/v1/feed", params=question[0], headers=self._headers)
                self._hear(response, *question)
            if keys_at is not None:
                self._keep_keys(self._client.get(f"{self._url}{KEY_SET}"), keys_at)
            if is_due:
                self._ask(name, key)
        except Exception as error:
            self._on_error(error)


class AsyncVerifier(_Follower):
    """Verifies keys in memory, and refuses a revoked key within the bound. One for each event loop."""

    def __init__(self, url: str, key: str, *, client: httpx.AsyncClient | None = None, **options: Any) -> None:
        super().__init__(url, key, **options)
        self._client = client or httpx.AsyncClient(timeout=3)
        self._asking: dict[tuple[str, Caller | None], asyncio.Task[Entry]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def verify(self, key: str | None, scopes: Sequence[str] = (), client: Caller | None = None) -> Verdict:
        """Verifies a key. Never raises: if Bitting cannot be asked, the verdict is `unavailable`."""
        if not key or not _is_well_formed(key):
            return _refused("malformed_api_key" if key else "missing_api_key")
        name, since = _digest(key), self._begin()
        try:
            for attempt in range(ATTEMPTS):
                if verdict := self._judge(name, since, scopes):
                    self._after(name, key)
                    return verdict
                asked = await self._ask(name, key, client, attempt)
                if asked.answer.get("conditional") and (own := self._judge(name, since, scopes, asked)):
                    return own
            if verdict := self._judge(name, since, scopes):
                return verdict
        except Exception as error:
            self._on_error(error)
        return _refused("unavailable")

    async def verify_token(self, token: str | None, audience: str, scopes: Sequence[str] = ()) -> Verdict:
        """Verifies a derived token for this audience. Never raises. Needs the extra `tokens`."""
        parsed = parse(token) if token else None
        if parsed is None:
            return _refused("malformed_token" if token else "missing_token")
        try:
            if (sent_at := self._keys_due(parsed)) is not None:
                self._keep_keys(await self._client.get(f"{self._url}{KEY_SET}"), sent_at)
            if code := self._refusal(parsed, audience):
                return _refused(code)
            code = self._judge_token(parsed)
            if code is None:
                question = self._token_question(parsed)
                response = await self._client.get(f"{self._url}/v1/feed", params=question[0], headers=self._headers)
                self._hear(response, *question)
                code = self._judge_token(parsed, was_read=True)
            self._after("", "")
            return _token_verdict(code or "unavailable", parsed.claims, scopes)
        except Exception as error:
            self._on_error(error)
        return _refused("unavailable")

    async def _ask(self, name: str, key: str, client: Caller | None = None, attempt: int = 0) -> Entry:
        """Asks about a key. Callers that come meanwhile for the same client wait for the same answer, also if the first
        goes away."""
        task = self._asking.get((name, client))
        if task is None:
            task = self._asking[name, client] = self._spawn(self._ask_once(name, key, client, attempt))
            task.add_done_callback(lambda _: self._asking.pop((name, client), None))
        return await asyncio.shield(task)

    async def _ask_once(self, name: str, key: str, client: Caller | None, attempt: int) -> Entry:
        body, sent_at = self._question(name, key, client, attempt)
        response = await self._client.post(f"{self._url}/v1/keys/verify", json=body, headers=self._headers)
        return self._keep(name, response, sent_at)

    def _after(self, name: str, key: str) -> None:
        is_due, question = self._due(name)
        keys_at = self._keys_due()
        if is_due or question or keys_at is not None:
            self._spawn(self._behind(name, key, is_due, question, keys_at))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        # The loop itself keeps no task from being collected.
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _behind(
        self, name: str, key: str, is_due: bool, question: tuple[dict[str, int], float] | None, keys_at: float | None
    ) -> None:
        """What is done behind an answer, for later ones. Its failure is no failure of this one."""
        try:
            if question:
                response = await self._client.get(f"{self._url}/v1/feed", params=question[0], headers=self._headers)
                self._hear(response, *question)
            if keys_at is not None:
                self._keep_keys(await self._client.get(f"{self._url}{KEY_SET}"), keys_at)
            if is_due:
                await self._ask(name, key)
        except Exception as error:
            self._on_error(error)


def _read(response: httpx.Response) -> Mapping[str, Any]:
    if response.status_code != 200:
        raise ValueError(f"{response.url.path} was answered with {response.status_code}: {response.text[:300]}")
    answer: Mapping[str, Any] = _frozen(json.loads(response.text))
    return answer


def _frozen(value: Any) -> Any:
    """Callers get the parts of the answer that is kept, so that nobody may change them."""
    if isinstance(value, dict):
        return MappingProxyType({name: _frozen(member) for name, member in value.items()})
    return tuple(_frozen(member) for member in value) if isinstance(value, list) else value


def _verdict(answer: Mapping[str, Any], scopes: Sequence[str]) -> Verdict:
    missing = missing_scopes(answer["scopes"], scopes) if answer["valid"] else ()
    code = "insufficient_scope" if missing else answer["code"]
    return Verdict(answer["valid"] and not missing, code, STATUS.get(code, 401), missing, answer)


def _token_verdict(code: str, claims: Mapping[str, Any], scopes: Sequence[str]) -> Verdict:
    if code != "valid":
        return _refused(code)
    owner = {"organization_id": claims.get("organization_id"), "user_id": claims.get("user_id"), "live_evaluation_id": None}
    about = {"key_id": claims.get("sub"), "kind": claims.get("kind"), "owner": owner, "scopes": claims["scope"].split()}
    return _verdict(_frozen({"valid": True, "code": "valid", **about}), scopes)


def _refused(code: str) -> Verdict:
    return Verdict(False, code, STATUS.get(code, 401))


def _elapsed() -> Callable[[], float]:
    """A clock that is never set back, and counts while the machine sleeps.

    The monotonic clock may stand still then; the wall clock tells, by stepping ahead of it.
    """
    ahead, slept = time.time() - time.monotonic(), 0.0

    def now() -> float:
        nonlocal ahead, slept
        monotonic = time.monotonic()
        step = time.time() - monotonic - ahead
        ahead += step
        if step > 0.05:
            slept += step
        return (monotonic + slept) * 1000

    return now


def _digest(key: str) -> str:
    """A key is never kept, only this."""
    return hashlib.sha256(key.encode()).hexdigest()


def _is_well_formed(key: str) -> bool:
    """True if the last six characters are the checksum of all others: their CRC-32 in base 62."""
    if not re.fullmatch(r"[A-Za-z0-9_]{1,100}_[0-9A-Za-z]{49}", key, re.ASCII):
        return False
    number, checksum = zlib.crc32(key[:-6].encode()), ""
    for _ in range(6):
        number, place = divmod(number, 62)
        checksum = BASE62[place] + checksum
    return key.endswith(checksum)
