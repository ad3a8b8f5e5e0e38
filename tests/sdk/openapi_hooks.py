"""What schemathesis cannot know from the document: ids of what is there, and rules that no schema can say."""

import datetime
import json
import os

import schemathesis
from hypothesis import strategies

ids = json.loads(os.environ["BITTING_IDS"])
future = strategies.datetimes(datetime.datetime(2030, 1, 1), datetime.datetime(2099, 1, 1))

schemathesis.openapi.format("uuid", strategies.sampled_from(ids) | strategies.uuids().map(str))
schemathesis.openapi.format("date-time", future.map(lambda at: at.isoformat(timespec="milliseconds") + "Z"))
schemathesis.openapi.format("date", future.map(lambda at: at.date().isoformat()))


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.meta.generation.mode.is_positive:
        return
    # One of two that exclude each other.
    if {"starting_after", "ending_before"} <= set(case.query or {}):
        del case.query["ending_before"]
    if not isinstance(case.body, dict):
        return
    if {"expires_at", "expires_in_days"} <= case.body.keys():
        del case.body["expires_at"]
    # A project goes with a project's key, and a real one.
    if case.body.get("kind") == "proj":
        case.body["project_id"] = os.environ["BITTING_PROJECT"]
    else:
        case.body.pop("project_id", None)
    if len(json.dumps(case.body.get("metadata"))) > 2_000:
        case.body["metadata"] = {}
