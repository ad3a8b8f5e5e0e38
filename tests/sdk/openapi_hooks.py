"""What schemathesis cannot know from the document: ids of what is there, and rules that no schema can say."""

import datetime
import itertools
import json
import os
import re

import schemathesis
from hypothesis import strategies

# The last of each are for DELETE, which would otherwise take away what others are about to ask for.
DOOMED = 3
known = json.loads(os.environ["BITTING_KNOWN"])
scopes = itertools.cycle(json.loads(os.environ["BITTING_SCOPES"]))
lasting = {name: itertools.cycle(ids[:-DOOMED] or ids) for name, ids in known.items()}
doomed = {name: itertools.cycle(ids[-DOOMED:]) for name, ids in known.items()}
numbers = itertools.count()
future = strategies.datetimes(datetime.datetime(2030, 1, 1), datetime.datetime(2099, 1, 1))

schemathesis.openapi.format("uuid", strategies.sampled_from(known["key_id"]) | strategies.uuids().map(str))
schemathesis.openapi.format("date-time", future.map(lambda at: at.isoformat(timespec="milliseconds") + "Z"))
schemathesis.openapi.format("date", future.map(lambda at: at.date().isoformat()))


UPLOADS = {
    "csv": b"question,answer\nwhy,because\n",
    "json": b'[{"question": "why"}]',
    "jsonl": b'{"question": "why"}\n',
}
# What a rule must be like, beside what its schema says.
RULES = {
    "model": {"verdicts": ["yes", "no"], "passing": ["yes"]},
    "regex": {"pattern": "^a+$"},
    "json_schema": {"schema": {"type": "string"}},
    "numeric_range": {"min": 0, "max": 1},
    "length": {"min": 0, "max": 1},
}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    # schemathesis spells a tuple in an answer as Draft 7 does, and then refuses that by Draft 2020-12.
    changes = raw_schema["components"]["schemas"]["Feed"]["properties"]["changes"]["items"]
    changes["items"] = {"anyOf": changes.pop("prefixItems")}


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.meta.generation.mode.is_positive:
        return
    # Whoever is taken out of a team is still there.
    ends = case.method == "DELETE" and "/teams/{team_id}/members" not in case.path or case.path.endswith(("/accept", "/deactivate"))
    path = case.path_parameters or {}
    for name in path:
        # What the others name goes on without it.
        last = name == re.findall(r"{(\w+)}", case.path)[-1]
        path[name] = next((doomed if ends and last else lasting)[name])
    # What else is known is in the owner's organization; the other one is there to be changed itself.
    if "organization_id" in path and not (case.method == "PATCH" and len(path) == 1):
        path["organization_id"] = "self"
    # Sent again with another request, it would be refused.
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = f"{case.headers['Idempotency-Key'][:200]}{next(numbers)}"
    # Another version than that which is there is not changed.
    if "If-Match" in (case.headers or {}):
        del case.headers["If-Match"]
    query = case.query or {}
    # Only what an earlier answer has given leads on.
    if case.path.endswith("/audit-events/verify"):
        query.pop("starting_after", None)
    # One of two that exclude each other.
    if "starting_after" in query:
        query.pop("ending_before", None)
        query.pop("page", None)
    # Pages by number do not go on for ever.
    if "page" in query:
        query["page"] = next(numbers) % 10 + 1
    if case.path == "/v1/authorize" and "scope" in query:
        query["scope"] = [next(scopes) for _ in query["scope"]]
    if case.path == "/api/datasets/upload":
        case.body = UPLOADS[query["format"]]
    if isinstance(case.body, dict):
        fit(case, case.body)


PLACES = {
    "allowed_ips": "192.0.2.0/24",
    "denied_ips": "2001:db8::/32",
    "allowed_countries": "DE",
    "denied_countries": "T1",
    "ip": "192.0.2.7",
    "country": "DE",
}


def fit(case, body):
    """Lets a body obey the rules that no schema can say."""
    if {"expires_at", "expires_in_days"} <= body.keys():
        del body["expires_at"]
    if body.get("scopes"):
        body["scopes"] = [next(scopes) for _ in body["scopes"]]
    # Most texts of that form are no range and no country.
    for place in (body.get("conditions"), body.get("client")):
        for name, example in PLACES.items() if isinstance(place, dict) else ():
            if place.get(name):
                place[name] = [example] * len(place[name]) if isinstance(place[name], list) else example
    # A project goes with a project's key, and a real one.
    if body.get("kind") == "proj":
        body["project_id"] = next(lasting["project_id"])
    else:
        body.pop("project_id", None)
    # The pattern of `sub` names an owner.
    if case.path.endswith("/trusts"):
        body["claims"] = {"sub": "repo:acme/*"}
    # A key with full access names the scopes of a token.
    if case.path == "/v1/tokens":
        body["scopes"] = body.get("scopes") or []
    # The default must not be longer than the longest.
    body.pop("default_expiry_days", None)
    for field in ("metadata", "operator_metadata"):
        if len(json.dumps(body.get(field))) > 2_000:
            body[field] = {}
    for name in {"dataset_id", "evaluation_id", "run_id"} & set(body):
        body[name] = next(lasting[name])
    if "run_ids" in body:
        body["run_ids"] = list({next(lasting["run_id"]) for _ in body["run_ids"]})
    # Values are for the columns that are there.
    if "inputs" in body:
        body["inputs"] = {"answer": next(iter(body["inputs"].values()), "no")}
    if case.path.endswith("/rows"):
        body["rows"] = [{"question": next(iter(row.values()), None)} for row in body["rows"]]
    if case.path.endswith("/rows/{row_id}"):
        case.body = {"question": next(iter(body.values()), None)}
    if case.path == "/api/datasets":
        body["rows"] = [{f"column {number}": value for number, value in enumerate(row.values())} for row in body.get("rows", [])]
    for number, column in enumerate(body.get("columns") or []):
        column["name"] = f"answer {number}" if number else "answer"
    for number, judgment in enumerate(body.get("judgments", [])):
        judgment |= {"name": f"judgment {number}", "column": "question"}
    if case.path.endswith("/columns/{column}"):
        # It keeps its name for those who ask about it later.
        body |= {"name": "question"} if "name" in body else {}
    elif case.path.endswith("/columns"):
        body["name"] = f"column {next(numbers)}"
    if case.path.startswith("/api/evaluations") and (body.get("judge") or body.get("columns")):
        body["columns"] = body.get("columns") or [{"name": "answer"}]
        judge = body.setdefault("judge", None) or {"type": "model", "instructions": "Is it good?"}
        body["judge"] = {**judge, **RULES.get(judge["type"], {}), **{name: "answer" for name in ("column", "expected_column") if name in judge}}
