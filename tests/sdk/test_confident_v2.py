"""Confident AI's newer library (PyPI `confident-ai`, /v2), unmodified, against the Worker on real workerd."""

import asyncio
import contextlib
import email.utils
import unittest

from confident_ai import ConfidentAI
from confident_ai.types import ConfidentApiError

from confident import Case, bootstrapped, instant, masked

KEYS = "/v2/organization/api-keys"
# The library needs every one of these, also where there is nothing to say.
FIELDS = {"id", "name", "valid", "created_at", "expiresAt", "value", "shadowValue", "rotatesAt", "lastUsed"}


def setUpModule():
    stack = contextlib.ExitStack()
    unittest.addModuleCleanup(stack.close)
    Case.app = stack.enter_context(bootstrapped())


class Contract(Case):
    Client = ConfidentAI
    Error = ConfidentApiError

    async def places(self):
        """The three handles on keys: whose methods they are, what comes before their arguments, and the kind."""
        project = (await self.call(self.client.projects, "create", self.name)).project
        yield self.client.organization, (), "org"
        yield self.client.projects, (project.id,), "proj"
        yield self.client.project(project.id), (), "proj"

    async def rotated(self, hours=None, **fields):
        """A key of the organization, and its rotation."""
        created = await self.call(self.client.organization, "create_api_key", self.name, **fields)
        rotated = await self.rotate(created.id, grace_period_in_hours=hours)
        return created, rotated

    async def rotate(self, id, **options):
        return await self.call(self.client.organization, "rotate_api_key", str(id), **options)

    async def get(self, id):
        return await self.call(self.client.organization, "get_api_key", str(id))

    async def test_the_organization_is_read_and_renamed(self):
        before = await self.call(self.client, "whoami")
        self.assertEqual(before.plan.value, "FREE")
        renamed = await self.call(self.client.organization, "update", self.name)
        self.assertEqual(renamed, before.model_copy(update={"name": self.name}))
        self.assertEqual(await self.call(self.client.organization, "get"), renamed)

    async def test_a_key_is_made_listed_read_switched_off_and_on_and_deleted(self):
        async for keys, at, kind in self.places():
            with self.subTest(keys):
                created = await self.call(keys, "create_api_key", *at, self.name)
                self.assert_key(created.value, kind)
                self.assertEqual((created.name, created.valid, created.expires_at), (self.name, True, None))
                self.assertEqual((created.shadow_value, created.rotates_at, created.last_used), (None, None, None))
                id = str(created.id)
                hidden = {**created.model_dump(), "value": masked(created.value)}
                self.assertEqual((await self.call(keys, "get_api_key", *at, id)).model_dump(), hidden)
                listed = (await self.call(keys, "list_api_keys", *at)).api_keys
                self.assertEqual(listed[0].model_dump(), hidden)
                await self.assert_works(created.value)

                off = await self.call(keys, "update_api_key", *at, id, False)
                self.assertEqual((off.id, off.valid, off.value), (created.id, False, hidden["value"]))
                await self.assert_dead("disabled", created.value)
                self.assertTrue((await self.call(keys, "update_api_key", *at, id, True)).valid)
                await self.assert_works(created.value)

                new = await self.call(keys, "rotate_api_key", *at, id)
                self.assertEqual((new.id, new.name, new.created_at), (created.id, self.name, created.created_at))
                self.assert_key(new.value, kind)
                await self.assert_works(new.value)
                await self.assert_dead("was replaced", created.value)
                pending = await self.call(keys, "rotate_api_key", *at, id, grace_period_in_hours=1, expires_in_days=7)
                self.assertEqual(pending.value, masked(new.value))
                self.assert_key(pending.shadow_value, kind)
                self.assert_in(pending.rotates_at, hours=1)
                self.assert_in(pending.expires_at, days=7)

                self.assertEqual((await self.call(keys, "delete_api_key", *at, id)).id, created.id)
                for key in (new.value, pending.shadow_value):
                    await self.assert_dead("revoked", key)
                for method, *more in [("get_api_key",), ("update_api_key", True), ("delete_api_key",), ("rotate_api_key",)]:
                    await self.assert_refused("Not found", keys, method, *at, id, *more)
                listed = (await self.call(keys, "list_api_keys", *at)).api_keys
                self.assertNotIn(created.id, [key.id for key in listed])

    async def test_a_project_is_made_with_its_key_read_renamed_and_deleted_with_all_its_keys(self):
        projects = self.client.projects
        created = await self.call(projects, "create", self.name, description="first", email="a@acme.example")
        id = created.project.id
        self.assert_key(created.api_key.value, "proj")
        self.assertEqual((created.project.name, created.project.description), (self.name, "first"))
        read = await self.call(projects, "get", id)
        self.assertEqual((read.id, read.created_at, read.governance_policy), (id, created.project.created_at, None))
        self.assertIn(read, (await self.call(projects, "list")).projects)

        renamed = await self.call(projects, "update", id, name=f"{self.name} renamed")
        self.assertEqual((renamed.name, renamed.description), (f"{self.name} renamed", "first"))
        handle = await self.call(self.client.project(id), "get")
        self.assertEqual((handle.name, handle.organization_id), (renamed.name, read.organization_id))
        handle.description = "second"
        self.assertEqual((await self.call(handle, "update")).description, "second")
        self.assertEqual((await self.call(projects, "get", id)).description, "second")

        # A project's key sees its project, and administers nothing.
        limited = self.connect(created.api_key.value)
        self.assertEqual((await self.call(limited.projects, "get", id)).name, renamed.name)
        for target, method, *args in [
            (limited.projects, "create", self.name),
            (limited.projects, "delete", id),
            (limited.projects, "create_api_key", id, self.name),
            (limited.projects, "rotate_api_key", id, str(created.api_key.id)),
            (limited.organization, "list_api_keys"),
            (limited.organization, "update", self.name),
        ]:
            await self.assert_refused("owner", target, method, *args)

        second = await self.call(projects, "create_api_key", id, self.name)
        self.assertEqual((await self.call(projects, "delete", id)).id, id)
        for key in (created.api_key.value, second.value):
            await self.assert_dead("project of this API key was deleted", key)
        other = (await self.call(projects, "create", self.name)).project
        self.assertEqual((await self.call(self.client.project(other.id), "delete")).id, other.id)
        await self.assert_refused("Not found", projects, "get", id)

    async def test_every_field_is_there_even_as_null(self):
        project = (await self.call(self.client.projects, "create", self.name)).project
        for path in (KEYS, f"/v2/projects/{project.id}/api-keys"):
            send = lambda method, path, **body: self.raw(method, path, self.app["key"], **body).json()["data"]
            made = send("POST", path, name=self.name)
            key = f"{path}/{made['id']}"
            answers = [made, send("GET", key), send("PUT", key, valid=True), *send("GET", path)["apiKeys"]]
            answers += [send("POST", f"{key}/rotate"), send("POST", f"{key}/rotate", gracePeriodInHours=1)]
            self.assertEqual([set(answer) for answer in answers], [FIELDS] * len(answers))
            self.assertEqual(send("DELETE", key), {"id": made["id"], "deleted": True})
        read = self.raw("GET", f"/v2/projects/{project.id}", self.app["key"]).json()["data"]
        self.assertEqual(set(read), {"id", "name", "description", "organizationId", "created_at", "governancePolicy"})

    async def test_both_secrets_work_until_the_grace_is_over(self):
        created, rotated = await self.rotated(hours=2)
        new = rotated.shadow_value
        self.assert_key(new, "org")
        self.assertEqual((rotated.id, rotated.value), (created.id, masked(created.value)))
        self.assert_in(rotated.rotates_at, hours=2)
        await self.assert_works(created.value)
        await self.assert_works(new)
        for shown in (await self.get(created.id), (await self.call(self.client.organization, "list_api_keys")).api_keys[0]):
            self.assertEqual((shown.value, shown.shadow_value), (masked(created.value), masked(new)))
            self.assertEqual(shown.rotates_at, rotated.rotates_at)

        outgoing = self.raw("GET", "/v2/organization", created.value)
        sunset = email.utils.parsedate_to_datetime(outgoing.headers["sunset"])
        self.assertEqual(sunset, instant(rotated.rotates_at).replace(microsecond=0))
        self.assertIn(rotated.rotates_at, outgoing.headers["x-api-key-warning"])
        for header in ("sunset", "x-api-key-warning"):
            self.assertNotIn(header, self.raw("GET", "/v2/organization", new).headers)

        self.advance(minutes=119)
        await self.assert_works(created.value)
        self.advance(minutes=1)
        await self.assert_dead("was replaced", created.value)
        await self.assert_works(new)
        shown = await self.get(created.id)
        self.assertEqual((shown.value, shown.shadow_value, shown.rotates_at), (masked(new), None, None))
        # A rotation that has lapsed does not stand in the way of the next one, and then its secret is forgotten.
        again = await self.rotate(created.id, grace_period_in_hours=1)
        await self.assert_works(again.shadow_value)
        await self.assert_works(new)
        await self.assert_dead("was replaced", created.value)

    async def test_a_rotation_under_way_is_in_the_way_of_another(self):
        created, rotated = await self.rotated(hours=1)
        await self.assert_refused("being rotated", self.client.organization, "rotate_api_key", str(created.id))
        answer = self.raw("POST", f"{KEYS}/{created.id}/rotate", self.app["key"])
        self.assertEqual((answer.status_code, answer.json()["code"]), (409, "rotation_pending"))
        self.assertEqual(answer.headers["x-should-retry"], "false")
        await self.assert_works(created.value)
        await self.assert_works(rotated.shadow_value)

    async def test_of_rotations_at_once_one_wins(self):
        created = await self.call(self.client.organization, "create_api_key", self.name)
        rotate = lambda: self.raw("POST", f"{KEYS}/{created.id}/rotate", self.app["key"], gracePeriodInHours=1)
        answers = await asyncio.gather(*(asyncio.to_thread(rotate) for _ in range(5)))
        self.assertEqual(sorted(answer.status_code for answer in answers), [200, 409, 409, 409, 409])
        [won] = [answer.json()["data"] for answer in answers if answer.status_code == 200]
        await self.assert_works(won["shadowValue"])
        await self.assert_works(created.value)

    async def test_a_key_expires_and_a_rotation_revives_it(self):
        created, rotated = await self.rotated(hours=48, expires_in_days=1)
        self.assert_in(created.expires_at, days=1)
        self.assertEqual(rotated.expires_at, created.expires_at, "a rotation keeps the expiry")
        self.assertEqual(rotated.rotates_at, created.expires_at, "no grace goes on past it")
        self.advance(days=1)
        for key in (created.value, rotated.shadow_value):
            with self.assertRaises(ConfidentApiError):
                await self.call(self.connect(key), "whoami")
        self.assertFalse((await self.get(created.id)).valid)
        rotate = (self.client.organization, "rotate_api_key", str(created.id))
        await self.assert_refused("`expiresInDays`: is required", *rotate)
        await self.assert_refused("`gracePeriodInHours`: must be 0 for an expired key", *rotate, grace_period_in_hours=1, expires_in_days=30)
        revived = await self.rotate(created.id, expires_in_days=30)
        self.assertTrue(revived.valid)
        self.assert_in(revived.expires_at, days=30)
        await self.assert_works(revived.value)
        await self.assert_dead("was replaced", rotated.shadow_value)

    async def test_an_expiry_is_kept_set_or_taken_away(self):
        created, rotated = await self.rotated(expires_in_days=10)
        self.assertEqual(rotated.expires_at, created.expires_at)
        later = await self.rotate(created.id, expires_in_days=20)
        self.assert_in(later.expires_at, days=20)
        # The library cannot send a null.
        answer = self.raw("POST", f"{KEYS}/{created.id}/rotate", self.app["key"], expiresInDays=None).json()["data"]
        self.assertIsNone(answer["expiresAt"])
        for days in (0, -1, 10**9):
            await self.assert_refused("expiresInDays", self.client.organization, "create_api_key", self.name, expires_in_days=days)
            await self.assert_refused("expiresInDays", self.client.organization, "rotate_api_key", str(created.id), expires_in_days=days)
        for hours in (-1, 10**9):
            await self.assert_refused("gracePeriodInHours", self.client.organization, "rotate_api_key", str(created.id), grace_period_in_hours=hours)

    async def test_a_disabled_key_is_rotated_and_stays_disabled(self):
        created = await self.call(self.client.organization, "create_api_key", self.name)
        await self.call(self.client.organization, "update_api_key", str(created.id), False)
        rotated = await self.rotate(created.id, grace_period_in_hours=1)
        self.assertFalse(rotated.valid)
        for key in (created.value, rotated.shadow_value):
            await self.assert_dead("disabled", key)
        await self.call(self.client.organization, "update_api_key", str(created.id), True)
        for key in (created.value, rotated.shadow_value):
            await self.assert_works(key)

    async def test_what_is_refused_is_an_error_with_a_sentence(self):
        await self.assert_dead("This is not an API key", "sk-0123456789")
        for project in ("clq9z3x1k0001la08f7t3g5p2", "01900000-0000-7000-8000-000000000000"):
            await self.assert_refused("Not found", self.client.projects, "get", project)
            await self.assert_refused("Not found", self.client.projects, "list_api_keys", project)
            await self.assert_refused("Not found", self.client.projects, "create_api_key", project, self.name)
        for id in ("0", "-1", "seven", str(2**63)):
            await self.assert_refused("Not found", self.client.organization, "get_api_key", id)
        limited = self.limited("api-keys:read").organization
        await self.call(limited, "list_api_keys")
        await self.assert_refused("Required: ['api-keys:write']", limited, "create_api_key", self.name)
        await self.assert_refused("Required: ['organization:read']", limited, "get")


class Sync(Contract, unittest.IsolatedAsyncioTestCase):
    pass


class Async(Contract, unittest.IsolatedAsyncioTestCase):
    twin = "a_"


class SyncAtTheRoot(Contract, unittest.IsolatedAsyncioTestCase):
    prefix = ""


class AsyncAtTheRoot(Contract, unittest.IsolatedAsyncioTestCase):
    twin = "a_"
    prefix = ""


if __name__ == "__main__":
    unittest.main()
