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
PEOPLE = "/v1/organizations/self"


def targets(app, client):
    """What schemathesis asks about: the owner's key, and by the parameter that names them the ids of things that are there."""
    key = app["operator_secret"]

    def call(method, path, body=None):
        response = client.request(method, app["url"] + path, headers={"Authorization": f"Bearer {key}"}, json=body)
        response.raise_for_status()
        return response.json() if response.content else None

    def post(path, **body):
        return call("POST", path, body)

    def invite(name):
        return post(f"{PEOPLE}/invitations", email=f"{name}@acme.example", role="member")

    key = post("/v1/bootstrap", organization="Acme", email="owner@acme.example", key_name="first")["key"]
    numbers = range(8)
    tokens = [invite(f"user-{number}")["token"] for number in numbers]
    users = [post(f"/v1/invitations/{token}/accept", key_name="first")["user_id"] for token in tokens]
    teams = [post(f"{PEOPLE}/teams", name=f"team {number}")["id"] for number in numbers]
    for team in teams:
        for user in users:
            call("PUT", f"{PEOPLE}/teams/{team}/members/{user}")
    columns = ["question", "a", "b", "c"]
    # What was judged is promoted into these.
    outcome = [{"name": "answer"}, {"name": "verdict", "role": "judgment"}, {"name": "why", "role": "notes"}]
    data = {"columns": [{"name": name} for name in columns] + outcome, "rows": [{"question": "why"} for _ in range(100)]}
    datasets = [post("/api/datasets", name="Data", **data)["public_id"] for _ in numbers]
    # What it is asked about does not pass, so that there is something to look at.
    judged = {"columns": [{"name": "answer"}], "judge": {"type": "exact_match", "column": "answer", "expected": "yes"}}
    evaluations = [post("/api/evaluations", name="Evaluation", **judged)["public_id"] for _ in numbers]
    live = [post("/api/live-evaluations", evaluation_id=evaluation)["public_id"] for evaluation in evaluations]
    runs = [post(f"/api/eval/{live[0]}", inputs={"answer": "no"})["public_id"] for _ in range(40)]
    for user in users:
        post(f"{PEOPLE}/members/{user}/sign-in-links")
    known = {
        "dataset_id": datasets,
        "column": columns,
        "row_id": list(range(1, 101)),
        "grantee_id": users + teams,
        "evaluation_id": evaluations,
        "live_evaluation_id": live,
        "run_id": runs,
        "item_id": [post("/api/review", run_id=run)["public_id"] for run in runs[-20:]],
        "key_id": [post("/v1/keys", name=f"target {number}", scopes=[], kind="org")["id"] for number in numbers],
        # One that is not the owner's: he would suspend or restrict himself.
        "organization_id": [post("/v1/organizations", name="Other", email="other@other.example", key_name="first")["organization"]["id"]],
        "project_id": [post(f"{PEOPLE}/projects", name="Project")["project"]["id"] for _ in numbers],
        "user_id": users,
        "team_id": teams,
        "trust_id": [
            post(f"{PEOPLE}/trusts", name="Trust", issuer="https://issuer.example", audience="a", claims={"sub": "repo:acme/*"}, scopes=[])["id"]
            for _ in range(20)
        ],
        "invitation_id": [invite(f"invited-{number}")["id"] for number in numbers],
        "sign_in_link_id": [link["id"] for link in call("GET", f"{PEOPLE}/sign-in-links")["items"]],
        "token": [invite(f"guest-{number}")["token"] for number in numbers],
    }
    return key, known, [entry["scope"] for entry in call("GET", "/v1/scopes")["scopes"]]


class Document(unittest.TestCase):
    def test_the_worker_does_what_its_document_says(self):
        # It would keep what it found for its next run, which is to ask the same again.
        with server() as app, tempfile.TemporaryDirectory() as folder:
            with httpx.Client() as client:
                key, known, scopes = targets(app, client)
            environment = {
                "BITTING_KEY": key,
                "BITTING_OPERATOR_SECRET": app["operator_secret"],
                "BITTING_KNOWN": json.dumps(known),
                "BITTING_SCOPES": json.dumps(scopes),
            }
            command = [pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "openapi.toml"]
            command += ["run", "--continue-on-failure", app["url"] + "/openapi.json"]
            run = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(HERE), **environment}, capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
