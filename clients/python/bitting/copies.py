"""The rules of a follower: which answers may be used again, and until when. docs/src/feed.md gives them their numbers.

There is no I/O here, and no clock: every instant is a number of milliseconds by one clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The bound as long as no answer has told it.
DEFAULT_BOUND_MS = 5_000
# An answer to a caller's own question may be this old, even if nothing may be kept. It was current when it was read.
LEAST_ANSWER_MS = 1_000
# An answer that was asked for so long ago is asked for again behind its use, so that Bitting knows that the key is used.
ASK_AGAIN_MS = 10 * 60 * 1000
# The most subjects whose last change is remembered.
MAX_SUBJECTS = 20_000
# Before every instant.
NEVER = float("-inf")

Answer = Mapping[str, Any]


@dataclass
class Entry:
    answer: Answer
    sent_at: float
    asked_at: float


class Copies:
    """The answers that are kept, and the feed that vouches for them."""

    def __init__(self, max_keys: int, max_staleness_ms: float) -> None:
        self.head = 0
        self._base: int | None = None
        # The newest number from which on Bitting could not tell the changes.
        self._too_old = -1
        self._last_change: dict[str, int] = {}
        self._read_at = NEVER
        self._bound_ms: float = DEFAULT_BOUND_MS
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._max_keys = max_keys
        self._max_staleness_ms = max_staleness_ms

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bound_ms(self) -> float:
        return min(self._bound_ms, self._max_staleness_ms)

    def feed_age_ms(self, now: float) -> float:
        return now - self._read_at

    def hear(self, answer: Answer, after: int | None, sent_at: float) -> None:
        """F1. Hears an answer of the feed to a question that was sent at `sent_at` with `after`."""
        if answer["head"] < self.head:
            return
        self._bound_ms = answer["max_staleness_ms"]
        is_whole = after is not None and answer["base"] <= after
        if after is not None and not is_whole:
            self._too_old = max(self._too_old, after)
        if self._base is not None and after is not None and after < self._base and not is_whole:
            # What is known is worth more than a token from before it.
            return
        if self._base is None or after is None or not is_whole:
            self._base = answer["base"]
            self._last_change = {}
        else:
            self._base = min(self._base, after)
        for seq, subject in answer["changes"]:
            self._last_change[subject] = max(seq, self._last_change.get(subject, 0))
        self.head = answer["head"]
        self._read_at = max(self._read_at, sent_at - answer["age_ms"])
        if len(self._last_change) > MAX_SUBJECTS:
            self._base = self.head
            self._last_change = {}

    def keep(self, name: str, answer: Answer, sent_at: float) -> None:
        """Keeps an answer about a key, to a question that was sent at `sent_at`, unless a newer one is there.

        F9. One about a key with conditions is for its caller alone, and what was kept about the key is dropped.
        """
        held = self._entries.get(name)
        if held and held.answer.get("seq", 0) > answer.get("seq", held.answer.get("seq", 0)):
            return
        if answer.get("conditional"):
            self._entries.pop(name, None)
            return
        self._entries[name] = Entry(answer, sent_at, asked_at=sent_at)
        self._entries.move_to_end(name)
        if len(self._entries) > self._max_keys:
            self._entries.popitem(last=False)

    def use(self, name: str, now: float) -> bool:
        """Notes a use of a key. Returns true if it is time to ask about it again, and takes that as done."""
        entry = self._entries.get(name)
        if entry is None:
            return False
        self._entries.move_to_end(name)
        is_due = now - entry.asked_at > ASK_AGAIN_MS
        if is_due:
            entry.asked_at = now
        return is_due

    def contradiction(self, name: str) -> int:
        """F2.1. The number of the newest change that the answer about a key does not know of; 0 if there is none."""
        entry = self._entries.get(name)
        return self._newer_than(entry.answer) if entry else 0

    def judge_token(self, claims: Answer, now: float, was_read: bool = False) -> str | None:
        """F8. The code for a token with these claims at `now`; None if the feed must be read first.

        A feed that was read for this token may be older than the bound.
        """
        limit_ms = max(self.bound_ms, LEAST_ANSWER_MS) if was_read else self.bound_ms
        if (self.bound_ms <= 0 and not was_read) or self.feed_age_ms(now) > limit_ms or not self._reaches(claims["seq"]):
            return None
        return "token_outdated" if self._newer_than(claims) > 0 else "valid"

    def after_for(self, claims: Answer) -> int:
        """The `after` with which the feed is read for a token: from the token on, if what is known begins later."""
        seq: int = claims["seq"]
        return self.head if self._reaches(seq) else seq

    def _reaches(self, seq: int) -> bool:
        return self._base is not None and self._base <= seq or seq <= self._too_old

    def _newer_than(self, answer: Answer) -> int:
        if "seq" not in answer or self._base is None:
            return 0
        newer = [self._last_change.get(subject, 0) for subject in answer["subjects"]]
        newest = max(self._base, *newer)
        return newest if newest > answer["seq"] else 0

    def judge(self, name: str, now: float, since: float = float("inf"), asked: Entry | None = None) -> Answer | None:
        """F2, F3. The answer about a key as it is at `now`; None if Bitting must be asked.

        A caller that came at `since` may use an answer to a question that was sent later, however short the bound is.
        `asked` is an answer that was not kept.
        """
        entry = asked or self._entries.get(name)
        if entry is None or self._newer_than(entry.answer):
            return None
        answer, elapsed_ms = entry.answer, now - entry.sent_at
        age_ms = answer.get("age_ms", 0)
        least_ms = max(self.bound_ms, LEAST_ANSWER_MS)
        is_own = entry.sent_at >= since and (answer.get("degraded", False) or elapsed_ms + age_ms <= least_ms)
        is_fresh = elapsed_ms < answer.get("fresh_for_ms", float("inf")) and elapsed_ms + age_ms < self.bound_ms
        is_known = self.bound_ms > 0 and answer.get("seq", float("inf")) <= self.head
        is_vouched_for = is_known and self.feed_age_ms(now) <= self.bound_ms
        if not is_own and (answer.get("conditional") or not (is_fresh or is_vouched_for)):
            return None
        ends_in_ms = answer.get("ends_in_ms")
        if answer["valid"] and ends_in_ms is not None and elapsed_ms >= ends_in_ms:
            code = "key_rotated" if answer.get("outgoing_until") else "api_key_expired"
            return {**answer, "valid": False, "code": code}
        return answer


def missing_scopes(held: Sequence[str] | None, required: Sequence[str]) -> tuple[str, ...]:
    """F6. The required scopes that are not held. `held` is None for everything."""
    if held is None:
        return ()
    return tuple(scope for scope in required if scope not in held and f"{scope.split(':', 1)[0]}:*" not in held)
