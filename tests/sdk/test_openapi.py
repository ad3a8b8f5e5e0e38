"""schemathesis, which asks all that the document allows and much that it does not, against the Worker on real workerd."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import httpx

from server import server

HERE = pathlib.Path(__file__).resolve().parent


class Document(unittest.TestCase):
    def test_the_worker_does_what_its_document_says(self):
        # It would keep what it found for its next run, which is to ask the same again.
        with server() as app, tempfile.TemporaryDirectory() as folder:
            def post(path, key, **body):
                response = httpx.post(app["url"] + path, headers={"Authorization": f"Bearer {key}"}, json=body)
                response.raise_for_status()
                return response.json()

            key = post("/v1/bootstrap", app["operator_secret"], organization="Acme", email="owner@acme.example", key_name="first")["key"]
            targets = [post("/v1/keys", key, name=f"target {number}", scopes=[], kind="org")["id"] for number in range(8)]
            environment = {
                "BITTING_KEY": key,
                "BITTING_OPERATOR_SECRET": app["operator_secret"],
                "BITTING_IDS": json.dumps(targets),
                "BITTING_PROJECT": post("/v1/projects", key, name="Project")["data"]["project"]["id"],
            }
            command = [pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "openapi.toml"]
            command += ["run", "--continue-on-failure", app["url"] + "/openapi.json"]
            run = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(HERE), **environment}, capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
