"""A client as openapi-python-client makes it from the API's document, type-checked and used against the Worker."""

import importlib
import pathlib
import subprocess
import sys
import tempfile
import unittest

from server import ROOT, server

BIN = pathlib.Path(sys.executable).parent


def run(*command, cwd):
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        config = ROOT / "tests/sdk/client.yaml"
        make = [BIN / "openapi-python-client", "generate", "--path", ROOT / "api/openapi.json", "--config", config]
        cls.output = run(*make, "--meta", "none", "--output-path", "bitting_client", cwd=cls.folder.name)
        sys.path.insert(0, cls.folder.name)
        cls.addClassCleanup(sys.path.remove, cls.folder.name)

    def test_nothing_of_the_document_is_left_out(self):
        self.assertNotRegex(self.output, "(?i)warning|unable")

    def test_it_type_checks(self):
        run(BIN / "mypy", "--strict-optional", "-p", "bitting_client", cwd=self.folder.name)

    def test_it_creates_reads_lists_verifies_and_uploads(self):
        def api(name):
            return importlib.import_module(f"bitting_client.api.{name}")

        models = importlib.import_module("bitting_client.models")
        types = importlib.import_module("bitting_client.types")
        client_module = importlib.import_module("bitting_client")

        with server() as app:

            def client(key):
                return client_module.AuthenticatedClient(base_url=app["url"], token=key, raise_on_unexpected_status=True)

            bootstrap = models.BootstrapRequest(organization="Acme", email="owner@acme.example", key_name="first")
            first = api("bootstrap.bootstrap_create").sync(client=client(app["operator_secret"]), body=bootstrap)
            owner = client(first.key)

            new = models.NewKey(name="reader", scopes=["datasets:read"])
            created = api("keys.keys_create").sync(client=owner, body=new)
            self.assertEqual((created.role.value, created.status.value), ("owner", "active"))
            read = api("keys.keys_get").sync(client=owner, key_id=created.id)
            self.assertEqual((read.name, read.scopes), ("reader", ["datasets:read"]))
            page = api("keys.keys_list").sync(client=owner)
            self.assertEqual([key.name for key in page.items], ["reader", "first"])

            verify = api("keys.keys_verify")
            for scopes, valid, code in [(["datasets:read"], True, "valid"), (["datasets:write"], False, "insufficient_scope")]:
                question = models.VerificationRequest(key=created.key, scopes=scopes)
                verdict = verify.sync(client=owner, body=question)
                self.assertEqual((verdict.valid, verdict.code.value, verdict.key_id), (valid, code, created.id))

            rows = types.File(payload=b"question,answer\nwhy,because\n")
            csv = models.DatasetsUploadFormat.CSV
            uploaded = api("datasets.datasets_upload").sync(client=owner, body=rows, name="Questions", format_=csv)
            self.assertEqual(uploaded.row_count, 1)


if __name__ == "__main__":
    unittest.main()
