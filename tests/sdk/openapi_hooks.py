"""What schemathesis cannot know from the document: ids of what is there, and rules that no schema can say."""

import datetime
import itertools
import json
import os

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

schemathesis.openapi.format("uuid", strategies.sampled_from(known["id"]) | strategies.uuids().map(str))
schemathesis.openapi.format("date-time", future.map(lambda at: at.isoformat(timespec="milliseconds") + "Z"))
schemathesis.openapi.format("date", future.map(lambda at: at.date().isoformat()))


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.meta.generation.mode.is_positive:
        return
    # Whoever is taken out of a team is still there.
    ends = case.method == "DELETE" and "/teams/{team}/members" not in case.path or case.path.endswith("/accept")
    path = case.path_parameters or {}
    for name in path:
        path[name] = next((doomed if ends else lasting)[name])
    # What else is known is in the owner's organization; the other one is there to be changed itself.
    if "organization" in path and not (case.method == "PATCH" and len(path) == 1):
        path["organization"] = "self"
    # Sent again with another request, it would be refused.
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = f"{case.headers['Idempotency-Key'][:200]}{next(numbers)}"
    # One of two that exclude each other.
    if {"starting_after", "ending_before"} <= set(case.query or {}):
        del case.query["ending_before"]
    if not isinstance(case.body, dict):
        return
    if {"expires_at", "expires_in_days"} <= case.body.keys():
        del case.body["expires_at"]
    if case.body.get("scopes"):
        case.body["scopes"] = [next(scopes) for _ in case.body["scopes"]]
    # A project goes with a project's key, and a real one.
    if case.body.get("kind") == "proj":
        case.body["project_id"] = next(lasting["project"])
    else:
        case.body.pop("project_id", None)
    # The default must not be longer than the longest.
    case.body.pop("default_expiry_days", None)
    if len(json.dumps(case.body.get("metadata"))) > 2_000:
        case.body["metadata"] = {}
