"""The Worker on real workerd, for a Python test: `with server() as app: app["url"], app["operator_secret"]`."""

import contextlib
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def server():
    command = [ROOT / "node_modules/.bin/node", ROOT / "tests/e2e/harness.mjs"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        # The harness ends when its stdin does, also when Python dies.
        process.communicate()
