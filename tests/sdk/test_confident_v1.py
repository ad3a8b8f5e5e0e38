"""Confident AI's first Admin library (PyPI `confidentai`, /v1), unmodified, against the Worker on real workerd."""

import asyncio
import contextlib
import io
import os
import unittest
import uuid
from unittest import mock

from confidentai import ConfidentAI
from confidentai.types import ConfidentApiError

from confident import HEADER, Case, bootstrapped, instant, masked


def setUpModule():
    stack = contextlib.ExitStack()
    unittest.addModuleCleanup(stack.close)
    Case.app = stack.enter_context(bootstrapped())


class Contract(Case):
    Client = ConfidentAI
    Error = ConfidentApiError

    async def places(self):
        """Where keys live: in the organization and in a project. Each with the kind of its keys."""
        project = (await self.call(self.client.projects, "create", self.name)).project
        yield self.client.organization().api_keys, "org"
        yield self.client.project(project.id).api_keys, "proj"

    async def test_the_organization_is_read_and_renamed(self):
        before = await self.call(self.client, "whoami")
        self.assertEqual((str(uuid.UUID(before.id)), before.plan), (before.id, "FREE"))
        self.assertIsNotNone(instant(before.created_at).tzinfo)
        renamed = await self.call(self.client.organization(), "update", name=self.name)
        self.assertEqual(renamed, before.model_copy(update={"name": self.name}))
        self.assertEqual(await self.call(self.client.organization(), "get"), renamed)

    async def test_a_key_is_made_listed_read_switched_off_and_on_and_deleted(self):
        async for keys, kind in self.places():
            with self.subTest(kind):
                created = await self.call(keys, "create", self.name)
                self.assert_key(created.value, kind)
                self.assertIs(type(created.id), int)
                self.assertEqual((created.name, created.valid, created.last_used), (self.name, True, None))
                self.assertIsNotNone(instant(created.created_at).tzinfo)
                hidden = created.model_copy(update={"value": masked(created.value)})
                self.assertEqual(await self.call(keys, "get", created.id), hidden)
                self.assertEqual((await self.call(keys, "list"))[0], hidden)
                await self.assert_works(created.value)

                off = await self.call(keys, "update", created.id, valid=False)
                self.assertEqual((off.id, off.valid, off.value), (created.id, False, hidden.value))
                await self.assert_dead("disabled", created.value)
                self.assertFalse((await self.call(keys, "get", created.id)).valid)
                self.assertTrue((await self.call(keys, "update", created.id, valid=True)).valid)
                await self.assert_works(created.value)

                deleted = await self.call(keys, "delete", created.id)
                self.assertEqual((deleted.id, deleted.deleted), (created.id, True))
                await self.assert_dead("revoked", created.value)
                for method, options in [("get", {}), ("update", {"valid": True}), ("delete", {})]:
                    await self.assert_refused("Not found", keys, method, created.id, **options)
                self.assertNotIn(created.id, [key.id for key in await self.call(keys, "list")])

    async def test_lists_have_the_newest_first_and_the_keys_of_their_place_alone(self):
        made = []
        async for keys, kind in self.places():
            made.append([(await self.call(keys, "create", f"{self.name} {n}")).id for n in range(3)])
            mine = [key.id for key in await self.call(keys, "list") if self.name in key.name]
            # A project comes with a first key, which has its name.
            self.assertEqual(mine[:3], made[-1][::-1])
            self.assertEqual(len(mine), 4 if kind == "proj" else 3)
        organization, project = made
        self.assertEqual(organization + project, sorted({*organization, *project}))
        await self.assert_refused("Not found", keys, "get", organization[0])
        await self.assert_refused("Not found", self.client.organization().api_keys, "delete", project[0])

    async def test_twenty_keys_made_at_once_have_twenty_numbers(self):
        keys = self.client.organization().api_keys
        if self.twin:
            made = await asyncio.gather(*(self.call(keys, "create", self.name) for _ in range(20)))
        else:
            made = await asyncio.gather(*(asyncio.to_thread(keys.create, self.name) for _ in range(20)))
        self.assertEqual(len({key.id for key in made}), 20)

    async def test_a_project_is_made_with_its_key_read_renamed_and_deleted_with_all_its_keys(self):
        created = await self.call(self.client.projects, "create", self.name, description="first", email="a@acme.example")
        project = self.client.project(created.project.id)
        self.assert_key(created.api_key.value, "proj")
        self.assertEqual((created.project.name, created.project.description), (self.name, "first"))
        self.assertEqual(created.project.organization_id, (await self.call(self.client, "whoami")).id)
        self.assertIsNone(created.project.governance_policy)
        self.assertEqual(await self.call(project, "get"), created.project)
        self.assertIn(created.project, await self.call(self.client.projects, "list"))
        self.assertEqual([key.id for key in await self.call(project.api_keys, "list")], [created.api_key.id])
        plain = (await self.call(self.client.projects, "create", f"{self.name} 2")).project
        self.assertIsNone(plain.description)

        renamed = await self.call(project, "update", name=f"{self.name} renamed")
        self.assertEqual((renamed.name, renamed.description), (f"{self.name} renamed", "first"))
        described = await self.call(project, "update", description="second")
        self.assertEqual((described.name, described.description), (renamed.name, "second"))

        # A project's key sees its project, and administers nothing.
        limited = self.connect(created.api_key.value)
        self.assertEqual(await self.call(limited.project(renamed.id), "get"), described)
        self.assertEqual(await self.call(limited.projects, "list"), [described])
        await self.assert_refused("Not found", limited.project(plain.id), "get")
        for target, method, *args in [
            (limited.projects, "create", self.name),
            (limited.project(renamed.id), "delete"),
            (limited.project(renamed.id).api_keys, "create", self.name),
            (limited.organization().api_keys, "create", self.name),
            (limited.organization().api_keys, "list"),
        ]:
            await self.assert_refused("owner", target, method, *args)

        second = await self.call(project.api_keys, "create", self.name)
        deleted = await self.call(project, "delete")
        self.assertEqual((deleted.id, deleted.deleted), (renamed.id, True))
        for key in (created.api_key.value, second.value):
            await self.assert_dead("project of this API key was deleted", key)
        for target, method, *args in [(project, "get"), (project, "delete"), (project.api_keys, "list"), (project.api_keys, "create", "x")]:
            await self.assert_refused("Not found", target, method, *args)
        self.assertNotIn(renamed.id, [project.id for project in await self.call(self.client.projects, "list")])

    async def test_the_last_use_is_told_within_a_minute(self):
        keys = self.client.organization().api_keys
        created = await self.call(keys, "create", self.name)
        await self.assert_works(created.value)
        at = self.now()
        self.advance(minutes=1)
        # This call writes what was gathered, behind its answer.
        await self.call(self.client, "whoami")
        for _ in range(50):
            last_used = (await self.call(keys, "get", created.id)).last_used
            if last_used:
                break
            await asyncio.sleep(0.1)
        self.assertLess(abs((instant(last_used) - at).total_seconds()), 30)

    async def test_what_is_refused_is_an_error_with_a_sentence(self):
        last = "a" if self.app["key"][-1] != "a" else "b"
        for key in (self.app["key"][:-1] + last, "sk-0123456789"):
            await self.assert_dead("This is not an API key", key)
        for target in (self.client.project("clq9z3x1k0001la08f7t3g5p2"), self.client.project(str(uuid.uuid4()))):
            await self.assert_refused("Not found", target, "get")
            await self.assert_refused("Not found", target.api_keys, "list")
            await self.assert_refused("Not found", target.api_keys, "create", self.name)
        for number in (0, -1, 2**31, 2**63):
            await self.assert_refused("Not found", self.client.organization().api_keys, "get", number)
        for name in ("", " ", "x" * 1_000):
            await self.assert_refused("`name`", self.client.organization().api_keys, "create", name)

        limited = self.limited("api-keys:read").organization()
        await self.call(limited.api_keys, "list")
        await self.assert_refused("Required: ['api-keys:write']", limited.api_keys, "create", self.name)
        await self.assert_refused("Required: ['organization:read']", limited, "get")

    async def test_an_error_has_the_envelope_and_its_status(self):
        path = "/v1/organization/api-keys"
        for status, answer in [
            (401, self.raw("GET", path)),
            (401, self.raw("GET", path, "sk-0123456789")),
            (404, self.raw("GET", f"{path}/0", self.app["key"])),
            (404, self.raw("GET", f"{path}/0/more", self.app["key"])),
            (405, self.raw("PATCH", path, self.app["key"])),
            (400, self.raw("POST", path, self.app["key"], name=7)),
            (400, self.raw("PUT", f"{path}/1", self.app["key"], valid="yes")),
        ]:
            body = answer.json()
            self.assertEqual((answer.status_code, body["success"], type(body["error"])), (status, False, str), body)
            self.assertEqual(body["request_id"], answer.headers["x-request-id"])

    async def test_a_key_is_taken_from_any_of_four_headers_or_as_a_bearer(self):
        for header in (HEADER, "CONFIDENT-API-KEY", "x-confident-api-key", "X-Api-Key"):
            self.assertEqual(self.raw("GET", "/v1/organization", self.app["key"], header).status_code, 200, header)
        bearer = f"Bearer {self.app['key']}"
        self.assertEqual(self.raw("GET", "/v1/organization", bearer, "Authorization").status_code, 200)
        self.assertEqual(self.raw("GET", "/v1/organization", self.app["key"], "X-Key").status_code, 401)


class Sync(Contract, unittest.IsolatedAsyncioTestCase):
    pass


class Async(Contract, unittest.IsolatedAsyncioTestCase):
    twin = "a_"


class SyncAtTheRoot(Contract, unittest.IsolatedAsyncioTestCase):
    prefix = ""


class AsyncAtTheRoot(Contract, unittest.IsolatedAsyncioTestCase):
    twin = "a_"
    prefix = ""


class TheVendorsPage(unittest.TestCase):
    """The examples of the vendor's page on API keys, with ids that exist."""

    def test_every_example(self):
        first = ConfidentAI(api_key=Case.app["key"], base_url=Case.app["url"] + "/confident")
        project_id = first.projects.create("from the page").project.id
        seven = first.organization().api_keys.create("seven").id
        project_seven = first.project(project_id).api_keys.create("seven").id
        environment = {"CONFIDENT_ORG_API_KEY": Case.app["key"], "CONFIDENT_BASE_URL": Case.app["url"] + "/confident"}
        printed = io.StringIO()
        with mock.patch.dict(os.environ, environment), contextlib.redirect_stdout(printed):
            client = ConfidentAI()

            org = client.organization()
            project = client.project(project_id)

            api_keys = org.api_keys.list()
            project_api_keys = project.api_keys.list()
            self.assertEqual((api_keys[0].id, project_api_keys[0].id), (seven, project_seven))

            org = client.organization()
            project = client.project(project_id)

            api_key = org.api_keys.get(seven)
            project_api_key = project.api_keys.get(project_seven)
            self.assertEqual((api_key, project_api_key), (api_keys[0], project_api_keys[0]))

            org = client.organization()
            project = client.project(project_id)

            api_key = org.api_keys.create("ci-pipeline")
            print(api_key.value)

            project_api_key = project.api_keys.create("ci-pipeline")
            print(project_api_key.value)
            self.assertRegex(printed.getvalue(), r"^bit_org_\w{49}\nbit_proj_\w{49}\n$")

            org = client.organization()
            project = client.project(project_id)

            api_key = org.api_keys.update(seven, valid=False)
            project_api_key = project.api_keys.update(project_seven, valid=False)
            self.assertEqual((api_key.valid, project_api_key.valid), (False, False))

            org = client.organization()
            project = client.project(project_id)

            org.api_keys.delete(seven)
            project.api_keys.delete(project_seven)
            left = [key.id for key in org.api_keys.list() + project.api_keys.list()]
            self.assertNotIn(seven, left)
            self.assertNotIn(project_seven, left)


if __name__ == "__main__":
    unittest.main()
