"""The official MCP client, unmodified, against the Worker on real workerd."""

import contextlib
import json
import unittest

import httpx
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from server import server

READ = ["datasets_list", "datasets_get", "datasets_list_rows", "datasets_list_shares"]


def setUpModule():
    global app, first
    stack = contextlib.ExitStack()
    unittest.addModuleCleanup(stack.close)
    app = stack.enter_context(server())
    body = {"organization": "Acme", "email": "owner@acme.example", "key_name": "first"}
    first = call("POST", "/v1/bootstrap", app["operator_secret"], body)["key"]


def call(method, path, key, body=None):
    """A request without the client."""
    response = httpx.request(method, app["url"] + path, headers={"Authorization": f"Bearer {key}"}, json=body)
    response.raise_for_status()
    return response.json()


def made(*scopes):
    return call("POST", "/v1/keys", first, {"name": "mcp", "scopes": scopes})


class Protocol:
    """What holds in both eras of the protocol: each test runs in each."""

    @contextlib.asynccontextmanager
    async def connect(self, key):
        async with create_mcp_http_client({"Authorization": f"Bearer {key}"}) as http_client:
            async with Client(streamable_http_client(app["url"] + "/mcp", http_client=http_client), mode=self.mode) as client:
                yield client

    async def listed(self, client):
        return [tool.name for tool in (await client.list_tools()).tools]

    async def test_server_says_what_it_is(self):
        async with self.connect(first) as client:
            self.assertEqual((client.protocol_version, client.server_info.name), (self.version, "bitting"))
            self.assertIsNotNone(client.server_capabilities.tools)
            self.assertIsNone(client.server_capabilities.prompts)

    async def test_every_tool_can_be_read(self):
        async with self.connect(first) as client:
            tools = (await client.list_tools()).tools
        self.assertGreater(len(tools), 40)
        self.assertEqual({tool.input_schema["type"] for tool in tools}, {"object"})
        self.assertEqual({tool.annotations.read_only_hint for tool in tools}, {False, True})

    async def test_tools_do_what_their_routes_do(self):
        key = made("datasets:read", "datasets:write")["key"]
        async with self.connect(key) as client:

            async def done(tool, **arguments):
                result = await client.call_tool(tool, arguments)
                self.assertFalse(result.is_error, result)
                return result.structured_content

            dataset = (await done("datasets_create", name="from MCP", rows=[{"question": "why"}]))["public_id"]
            self.assertEqual(await done("datasets_add_rows", dataset_id=dataset, rows=[{"question": "how"}]), {"row_ids": [2]})
            rows = await done("datasets_list_rows", dataset_id=dataset, page_size=10)
            self.assertEqual(rows["rows"], [{"question": "why"}, {"question": "how"}])
            self.assertEqual(rows, call("GET", f"/api/datasets/{dataset}/rows?page_size=10", key))
            changed = await done("datasets_change_row", dataset_id=dataset, row_id=2, body={"question": "who"})
            self.assertEqual(changed, {"question": "who"})
            self.assertEqual((await done("datasets_delete", dataset_id=dataset))["id"], dataset)
            gone = await client.call_tool("datasets_get", {"dataset_id": dataset})
        self.assertTrue(gone.is_error)
        self.assertEqual(json.loads(gone.content[0].text)["error"]["code"], "not_found")

    async def test_tools_are_those_of_the_scopes(self):
        async with self.connect(made()["key"]) as client:
            self.assertEqual(await self.listed(client), [])
            with self.assertRaises(MCPError) as refused:
                await client.call_tool("datasets_list", {})
        self.assertEqual((refused.exception.code, str(refused.exception)), (-32602, "Unknown tool: datasets_list"))
        key = made("datasets:read")
        async with self.connect(key["key"]) as client:
            self.assertEqual(await self.listed(client), READ)
            call("PATCH", f"/v1/keys/{key['id']}", first, {"scopes": ["audit:read"]})
            self.assertEqual(await self.listed(client), ["audit_list", "audit_verify"])

    async def test_revoked_key_is_refused(self):
        key = made("datasets:read")
        async with self.connect(key["key"]) as client:
            self.assertFalse((await client.call_tool("datasets_list", {})).is_error)
            call("DELETE", f"/v1/keys/{key['id']}", first)
            for request in [client.call_tool("datasets_list", {}), client.list_tools()]:
                with self.assertRaises(MCPError) as refused:
                    await request
                told = refused.exception.code, str(refused.exception)
                self.assertEqual(told, (401, "This API key was revoked. Use another one."))


class Modern(Protocol, unittest.IsolatedAsyncioTestCase):
    mode, version = "auto", "2026-07-28"


class Legacy(Protocol, unittest.IsolatedAsyncioTestCase):
    mode, version = "legacy", "2025-11-25"


if __name__ == "__main__":
    unittest.main()
