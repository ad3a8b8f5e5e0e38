"""For FastAPI and Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request

from bitting.verifier import AsyncVerifier, Caller, Verdict, bearer


def holds(
    verifier: AsyncVerifier, *scopes: str, client: Callable[[Request], Caller] | None = None
) -> Callable[[Request], Awaitable[Verdict]]:
    """A dependency that gives the verdict on the caller's key, or answers 401, 403 or 503.

    FastAPI: `key: Verdict = Depends(holds(verifier, "orders:read"))`. In an endpoint of Starlette:
    `key = await holds(verifier, "orders:read")(request)`. `client` tells who presents the key, for keys with conditions:
    `lambda request: Caller(ip=request.client.host)`. Without it, nothing is told.
    """

    async def dependency(request: Request) -> Verdict:
        key = bearer(request.headers.get("authorization"))
        verdict = await verifier.verify(key, scopes, client(request) if client else None)
        if verdict.valid:
            return verdict
        headers = {"WWW-Authenticate": "Bearer"}
        if verdict.missing_scopes:
            headers["WWW-Authenticate"] += f' error="{verdict.code}", scope="{" ".join(verdict.missing_scopes)}"'
        if verdict.status == 503:
            headers = {"Retry-After": "1"}
        raise HTTPException(verdict.status, verdict.code, headers)

    # FastAPI reads the types of the parameters, which are texts here.
    dependency.__annotations__["request"] = Request
    return dependency
