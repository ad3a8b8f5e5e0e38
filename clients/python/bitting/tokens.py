"""The public keys of a deployment, and the signatures of its derived tokens."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitting.copies import NEVER

# The keys are read again after this time behind an answer, and are not believed after twice as long.
KEYS_MS = 5 * 60 * 1000
# The least time between two questions, so that forged tokens cost nothing.
RETRY_MS = 10 * 1000
MAX_BYTES = 16 * 1024


@dataclass(frozen=True)
class Token:
    """A token that was parsed, and is not verified."""

    key_id: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


class SigningKeys:
    """The public keys, and when to read them."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}
        self._read_at = NEVER
        self._asked_at = NEVER

    def is_due(self, key_id: str, now: float) -> bool:
        """True if the keys must be read before this one is looked for. Takes that as done."""
        is_needed = key_id not in self._keys or now - self._read_at > 2 * KEYS_MS
        return self._claim(is_needed, now)

    def is_due_behind(self, now: float) -> bool:
        """True if it is time to read the keys again. Takes that as done."""
        return self._claim(bool(self._keys) and now - self._read_at > KEYS_MS, now)

    def keep(self, answer: Mapping[str, Any], now: float) -> None:
        usable = [key for key in answer["keys"] if key.get("kty") == "OKP" and key.get("crv") == "Ed25519"]
        self._keys = {key["kid"]: _bytes(key["x"]) for key in usable}
        self._read_at = now

    def get(self, key_id: str, now: float) -> bytes | None:
        """The key of this id; None if there is none. Raises if the keys cannot be believed any more."""
        if now - self._read_at > 2 * KEYS_MS:
            raise ValueError("the public keys cannot be read")
        return self._keys.get(key_id)

    def _claim(self, is_due: bool, now: float) -> bool:
        if is_due and now - self._asked_at > RETRY_MS:
            self._asked_at = now
            return True
        return False


def parse(text: str) -> Token | None:
    """The parts of a token that is signed with Ed25519; None if it is no such token."""
    parts = text.split(".")
    if len(text) > MAX_BYTES or len(parts) != 3:
        return None
    try:
        header, claims = (json.loads(_bytes(part).decode()) for part in parts[:2])
        signature = _bytes(parts[2])
        if header["alg"] != "EdDSA" or "crit" in header or not isinstance(header["kid"], str):
            return None
        kinds = {"exp": int, "seq": int, "scope": str, "subjects": list}
        if not all(type(claims[name]) is kind for name, kind in kinds.items()):
            return None
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return Token(header["kid"], claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def is_signed_by(key: bytes, token: Token) -> bool:
    """True if the signature is that of this key. Needs the extra `tokens`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(token.signature, token.signed)
    except InvalidSignature:
        return False
    return True


def _bytes(part: str) -> bytes:
    """Only base64url, which each text is in one way."""
    if not re.fullmatch(r"[\w-]*", part, re.ASCII):
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
