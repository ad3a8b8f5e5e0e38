"""Verifies API keys of Bitting in memory, refuses a revoked key within the bound, and manages keys."""

from bitting.client import AsyncClient, BittingError, Client, all_items, all_items_async
from bitting.verifier import AsyncVerifier, Caller, Verdict, Verifier, bearer

__all__ = [
    "AsyncClient",
    "AsyncVerifier",
    "BittingError",
    "Caller",
    "Client",
    "Verdict",
    "Verifier",
    "all_items",
    "all_items_async",
    "bearer",
]
