"""The clients of the routes that manage keys, organizations and people. Their methods and types are in `client.pyi`."""

from __future__ import annotations

import re
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpx

from bitting.operations import OPERATIONS


class BittingError(Exception):
    """A refusal by Bitting."""

    def __init__(self, response: httpx.Response) -> None:
        try:
            problem = response.json()
        except ValueError:
            problem = None
        self.problem = problem if isinstance(problem, dict) else {}
        self.status = response.status_code
        self.code = (self.problem.get("error") or {}).get("code", "unknown")
        self.request_id = self.problem.get("request_id")
        after = response.headers.get("retry-after")
        self.retry_after_seconds = float(after) if after and after.isdigit() else None
        super().__init__(self.problem.get("detail") or f"Bitting answered with {self.status}")


def _question(name: str, operation: tuple[str, str, list[str], bool], params: dict[str, Any]) -> dict[str, Any]:
    """The request of an operation."""
    method, path, query, has_body = operation
    rest = dict(params)
    headers = {"accept": "application/json"}
    for header in ("idempotency_key", "if_match"):
        if (value := rest.pop(header, None)) is not None:
            headers[header.replace("_", "-")] = value

    def segment(match: re.Match[str]) -> str:
        value = rest.pop(match[1], "self" if match[1] == "organization_id" else None)
        # Another segment would name another route.
        if not isinstance(value, str) or not re.fullmatch(r"[\w-]+", value, re.ASCII):
            raise TypeError(f"{name} needs `{match[1]}`: an id")
        return value

    url = re.sub(r"\{(\w+)\}", segment, path)
    asked = [(it, rest.pop(it)) for it in query if it in rest]
    if rest and not has_body:
        raise TypeError(f"{name} has no parameter `{next(iter(rest))}`")
    flat = [(it, str(one).lower() if isinstance(one, bool) else one) for it, value in asked if value is not None for one in _listed(value)]
    return {"method": method, "url": url, "params": flat, "headers": headers, **({"json": rest} if has_body else {})}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _result(response: httpx.Response) -> Any:
    if not response.is_success:
        raise BittingError(response)
    return response.json() if response.content else None


def _groups(client: Any) -> None:
    for group, operations in OPERATIONS.items():
        calls = {name: partial(client._call, name, operation) for name, operation in operations.items()}
        setattr(client, group, SimpleNamespace(**calls))


def _settings(url: str, key: str | None, timeout_seconds: float) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout_seconds}


class Client:
    """Calls Bitting. `organization_id` is the key's own if it is left out."""

    def __init__(self, url: str, key: str | None = None, *, timeout_seconds: float = 10) -> None:
        self._http = httpx.Client(**_settings(url, key, timeout_seconds))
        _groups(self)

    def _call(self, name: str, operation: Any, /, **params: Any) -> Any:
        return _result(self._http.request(**_question(name, operation, params)))

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


class AsyncClient:
    """Calls Bitting from asyncio. `organization_id` is the key's own if it is left out."""

    def __init__(self, url: str, key: str | None = None, *, timeout_seconds: float = 10) -> None:
        self._http = httpx.AsyncClient(**_settings(url, key, timeout_seconds))
        _groups(self)

    async def _call(self, name: str, operation: Any, /, **params: Any) -> Any:
        return _result(await self._http.request(**_question(name, operation, params)))

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()


def all_items(list_page: Any, /, **params: Any) -> Any:
    """All items of a list, which is read page by page."""
    while True:
        page = list_page(**params)
        yield from page["items"]
        if not page["has_more"]:
            return
        params["starting_after"] = page["next_cursor"]


async def all_items_async(list_page: Any, /, **params: Any) -> Any:
    """All items of a list, which is read page by page."""
    while True:
        page = await list_page(**params)
        for item in page["items"]:
            yield item
        if not page["has_more"]:
            return
        params["starting_after"] = page["next_cursor"]
