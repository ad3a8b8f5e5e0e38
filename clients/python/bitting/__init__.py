"""Verifies API keys of Bitting in memory, and refuses a revoked key within the bound."""

from bitting.verifier import AsyncVerifier, Verdict, Verifier, bearer

__all__ = ["AsyncVerifier", "Verdict", "Verifier", "bearer"]
