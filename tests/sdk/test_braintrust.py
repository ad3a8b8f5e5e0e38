"""Braintrust's own Python library, unmodified, against the Worker on real workerd.

Every test runs twice: with the library's synchronous client and with its asynchronous one.
"""

import asyncio
import contextlib
import inspect
import unittest
import uuid
from unittest import mock

import braintrust_api
import httpx
from braintrust_api import AsyncBraintrust, Braintrust

from server import server


def setUpModule():
    global app, first
    stack = contextlib.ExitStack()
    unittest.addModuleCleanup(stack.close)
    app = stack.enter_context(server())
    first = native("/v1/bootstrap", app["operator_secret"], organization="Acme", email="owner@acme.example", key_name="first")


def native(path, key, **body):
    """Calls Bitting's own API."""
    response = httpx.post(app["url"] + path, headers={"Authorization": f"Bearer {key}"}, json=body)
    response.raise_for_status()
    return response.json()


def fail(**fault):
    """Makes calls to storage fail; see `fail` in tests/e2e/harness.mjs."""
    httpx.post(app["url"] + "/__test", json={"fault": {"times": 1, **fault}}).raise_for_status()


async def value(answer):
    """What a method answers, whichever client it belongs to."""
    return await answer if inspect.isawaitable(answer) else answer


async def each(pages):
    """The items of a list, page after page, whichever client it belongs to."""
    if hasattr(pages, "__aiter__"):
        async for item in pages:
            yield item
    else:
        for item in pages:
            yield item


class Contract:
    prefix = "/braintrust"

    async def asyncSetUp(self):
        # Or asyncio would complain of the synchronous client, which does not give way to others.
        asyncio.get_running_loop().slow_callback_duration = 60
        self.requests = []
        self.name = f"{self.id()} {uuid.uuid4()}"
        self.client = self.connect(first["key"])
        self.keys = self.client.api_keys

    def connect(self, key):
        http_client = self.http_client()
        client = self.Client(api_key=key, base_url=app["url"] + self.prefix, http_client=http_client)

        async def close():
            await value(client.close())

        self.addAsyncCleanup(close)
        return client

    async def warm(self):
        """Makes the Worker read its feed, so that it asks the database for the next request's own sake alone."""
        await self.listed(limit=0)
        self.requests.clear()

    async def made(self, count):
        """Makes keys, and gives them in the order of lists: the newest first."""
        made = [await value(self.keys.create(name=self.name)) for _ in range(count)]
        self.requests.clear()
        return [key.id for key in reversed(made)]

    async def listed(self, **params):
        return [key.id async for key in each(self.keys.list(**{"api_key_name": self.name, **params}))]

    async def test_create_gives_a_whole_object_and_a_key_that_works_right_away(self):
        created = await value(self.keys.create(name=self.name))
        self.assertEqual(created.name, self.name)
        self.assertEqual(created.preview_name, f"bit_pat_****{created.key[-4:]}")
        self.assertEqual((created.user_id, created.org_id), (first["user_id"], first["organization_id"]))
        self.assertIsNotNone(created.created.tzinfo)
        self.assertEqual(str(uuid.UUID(created.id)), created.id)
        seen = await value(self.connect(created.key).api_keys.retrieve(created.id))
        self.assertEqual(seen.to_dict(), {name: value for name, value in created.to_dict().items() if name != "key"})

    async def test_delete_gives_the_deleted_object_and_the_key_ends_at_once(self):
        created = await value(self.keys.create(name=self.name))
        its_own = self.connect(created.key).api_keys
        self.assertEqual(await self.listed(), [created.id])
        deleted = await value(self.keys.delete(created.id))
        self.assertEqual((deleted.id, deleted.name, deleted.created), (created.id, self.name, created.created))
        self.requests.clear()
        with self.assertRaises(braintrust_api.AuthenticationError) as raised:
            await value(its_own.list())
        self.assertEqual(raised.exception.body["error"]["code"], "key_revoked")
        self.assertEqual(len(self.requests), 1)
        with self.assertRaises(braintrust_api.NotFoundError):
            await value(self.keys.retrieve(created.id))
        self.assertEqual(await self.listed(), [])

    async def test_iteration_gives_every_key_once_the_newest_first(self):
        made = await self.made(7)
        self.assertEqual(await self.listed(limit=3), made)
        # Three pages with something on them, and the empty one that ends the iteration.
        self.assertEqual(len(self.requests), 4)
        self.assertEqual(await self.listed(), made)
        self.assertEqual(await self.listed(limit=3, starting_after=made[4]), made[5:])

    async def test_iteration_backwards_gives_the_page_before_the_cursor_first(self):
        made = await self.made(7)
        self.assertEqual(await self.listed(limit=3, ending_before=made[6]), made[3:6] + made[0:3])
        page = await value(self.keys.list(limit=2, ending_before=made[2], api_key_name=self.name))
        self.assertEqual([key.id for key in page.objects], made[0:2])
        self.assertEqual(await self.listed(ending_before=made[0]), [])

    async def test_deleting_every_key_while_iterating_misses_none(self):
        made = await self.made(7)
        deleted = []
        async for key in each(self.keys.list(limit=3, api_key_name=self.name)):
            deleted.append((await value(self.keys.delete(key.id))).id)
        self.assertEqual(deleted, made)
        self.assertEqual(await self.listed(), [])

    async def test_ids_may_be_one_or_a_list(self):
        made = await self.made(3)
        self.assertEqual(await self.listed(ids=made[1]), [made[1]])
        self.assertEqual(await self.listed(ids=[made[2], made[0], str(uuid.uuid4())]), [made[0], made[2]])
        with self.assertRaises(braintrust_api.BadRequestError):
            await self.listed(ids=["no id"])

    async def test_ids_repeated_in_the_query_are_a_list_too(self):
        made = await self.made(3)
        page = await value(self.keys.list(extra_query={"ids": made[0]}, api_key_name=self.name))
        self.assertEqual([key.id for key in page.objects], [made[0]])
        repeated = httpx.get(
            f"{app['url']}/v1/api_key",
            params={"ids": made[:2]},
            headers={"Authorization": f"Bearer {first['key']}"},
        )
        self.assertEqual([key["id"] for key in repeated.json()["objects"]], made[:2])

    async def test_lists_filter_by_name_and_by_organization(self):
        made = await self.made(2)
        self.assertEqual(await self.listed(org_name="Acme"), made)
        self.assertEqual(await self.listed(org_name="Another"), [])
        self.assertEqual(await self.listed(api_key_name=f"{self.name} "), [])
        everything = await self.listed(api_key_name=braintrust_api.NOT_GIVEN, limit=1000)
        self.assertEqual([id for id in everything if id in made], made)
        self.assertIn(first["id"], everything)

    async def test_create_takes_the_callers_organization_or_none_and_no_other(self):
        for org_name in ("Acme", None):
            created = await value(self.keys.create(name=self.name, org_name=org_name))
            self.assertEqual(created.org_id, first["organization_id"])
        with self.assertRaises(braintrust_api.BadRequestError):
            await value(self.keys.create(name=self.name, org_name="Another"))
        self.assertEqual(len(await self.listed()), 2)

    async def test_names_need_not_be_unique_nor_ascii(self):
        self.name = "<b>Ключ & 🔑</b>"
        made = await self.made(2)
        self.assertEqual((await self.listed())[:2], made)

    async def test_a_limit_of_zero_is_an_empty_page_and_ends_the_iteration(self):
        await self.made(1)
        self.assertEqual(await self.listed(limit=0), [])
        self.assertEqual(len(self.requests), 1)

    async def test_both_cursors_at_once_are_a_bad_request(self):
        made = await self.made(2)
        with self.assertRaises(braintrust_api.BadRequestError) as raised:
            await self.listed(starting_after=made[0], ending_before=made[1])
        self.assertIn("cannot be combined", str(raised.exception))
        self.assertEqual(len(self.requests), 1)

    async def test_a_wrong_key_is_an_authentication_error(self):
        last = "a" if first["key"][-1] != "a" else "b"
        for key in (first["key"][:-1] + last, "sk-0123456789"):
            with self.assertRaises(braintrust_api.AuthenticationError) as raised:
                await value(self.connect(key).api_keys.list())
            self.assertEqual(raised.exception.body["error"]["code"], "malformed_api_key")

    async def test_a_key_without_the_scope_is_denied_and_told_which(self):
        limited = native("/v1/keys", first["key"], name=self.name, scopes=["api-keys:read"])
        keys = self.connect(limited["key"]).api_keys
        self.assertEqual((await value(keys.retrieve(limited["id"]))).name, self.name)
        for attempt in (lambda: keys.create(name=self.name), lambda: keys.delete(limited["id"])):
            with self.assertRaises(braintrust_api.PermissionDeniedError) as raised:
                await value(attempt())
            self.assertIn("Required: ['api-keys:write']", str(raised.exception))

    async def test_an_unknown_id_is_not_found(self):
        for id in (str(uuid.uuid4()), "no-id"):
            for method in (self.keys.retrieve, self.keys.delete):
                with self.assertRaises(braintrust_api.NotFoundError):
                    await value(method(id))

    async def test_a_failure_of_the_database_is_tried_again_after_the_time_it_asks_for(self):
        await self.warm()
        fail(name="DB.batch", message="D1_ERROR: Network connection lost.")
        with mock.patch(self.sleep) as sleep:
            created = await value(self.keys.create(name=self.name))
        self.assertEqual([call.args for call in sleep.call_args_list], [(2.0,)])
        self.assertEqual([request.headers["x-stainless-retry-count"] for request in self.requests], ["0", "1"])
        self.assertEqual(await self.listed(), [created.id])

    async def test_a_database_that_stays_away_is_an_internal_server_error_after_three_requests(self):
        await self.warm()
        fail(name="DB.batch", message="D1_ERROR: Network connection lost.", times=3)
        with mock.patch(self.sleep), self.assertRaises(braintrust_api.InternalServerError) as raised:
            await value(self.keys.create(name=self.name))
        self.assertEqual((raised.exception.status_code, len(self.requests)), (503, 3))
        self.assertEqual(await self.listed(), [])

    async def test_a_lasting_conflict_is_not_tried_again(self):
        operator = self.connect(app["operator_secret"])
        body = {"organization": "Acme", "email": "second@acme.example", "key_name": "second"}
        with self.assertRaises(braintrust_api.ConflictError) as raised:
            await value(operator.post(app["url"] + "/v1/bootstrap", cast_to=object, body=body))
        self.assertEqual(raised.exception.response.headers["x-should-retry"], "false")
        self.assertEqual(len(self.requests), 1)


class Sync(Contract, unittest.IsolatedAsyncioTestCase):
    Client = Braintrust
    sleep = "braintrust_api._base_client.time.sleep"

    def http_client(self):
        # `verify`: nothing is encrypted here, and reading the world's certificates takes longer than a test.
        return httpx.Client(verify=False, event_hooks={"request": [self.requests.append]})


class Async(Contract, unittest.IsolatedAsyncioTestCase):
    Client = AsyncBraintrust
    sleep = "braintrust_api._base_client.anyio.sleep"

    def http_client(self):
        async def count(request):
            self.requests.append(request)

        return httpx.AsyncClient(verify=False, event_hooks={"request": [count]})


class AtTheRoot(unittest.TestCase):
    def test_the_same_routes_answer_without_the_prefix(self):
        with Braintrust(api_key=first["key"], base_url=app["url"]) as client:
            created = client.api_keys.create(name="at the root")
            self.assertEqual(client.api_keys.retrieve(created.id).name, "at the root")
            self.assertEqual([key.id for key in client.api_keys.list(api_key_name="at the root")], [created.id])
            self.assertEqual(client.api_keys.delete(created.id).id, created.id)


if __name__ == "__main__":
    unittest.main()
