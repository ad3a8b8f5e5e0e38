//! `GET /v1/audit-events`: an organization's audit trail, as a list or as a stream of all of it.

use futures_util::TryStreamExt;
use serde_json::{Value, json};

use crate::{
    app::{Principal, error::Error, keys::Page},
    domain::{
        id::{KeyId, UserId},
        time::UnixMillis,
    },
    http::{
        input::Query,
        keys::limit,
        message::{Request, Response, Rfc3339},
        problem::Problem,
        routes::Call,
    },
    storage::audit::{Filter, Recorded},
};

/// One event on each line.
const NDJSON: &str = "application/x-ndjson";

pub(crate) async fn list(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let known = ["limit", "starting_after", "action", "subject", "actor_id", "user_id", "since", "until", "refused"];
    let query = Query::strict(call.request, &known)?;
    let instant = "an RFC 3339 date-time with its offset, like 2027-01-31T12:00:00Z, or a date";
    let filter = Filter {
        action: query.get("action").map(str::to_owned),
        subject: query.get("subject").map(str::to_owned),
        actor_id: query.read("actor_id", "a key id", KeyId::parse)?,
        user_id: query.read("user_id", "a user id", UserId::parse)?,
        since: query.read("since", instant, UnixMillis::parse)?,
        until: query.read("until", instant, UnixMillis::parse)?,
        refused: query.read("refused", "true or false", |text| text.parse().ok())?,
    };
    let after = after(&query)?;
    if !asks_for_lines(call.request) {
        return Ok(events(&call.app.list_events(by, &filter, after, limit(&query, 1)?).await?));
    }
    if query.get("limit").is_some() {
        return Err(Error::invalid("limit", format!("is for pages: as {NDJSON} you get all events")).into());
    }
    let pieces = call.app.export_events(by, filter, after).await?;
    let pieces = pieces.map_ok(|events| lines(&events)).map_err(|error| format!("{error:?}"));
    Ok(Response::stream(NDJSON, pieces))
}

/// Events, each on a line of its own.
fn lines(events: &[Recorded]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("{}\n", event_json(event)).into_bytes()).collect()
}

/// Whether `Accept` names NDJSON; how much the caller would rather have something else is not weighed.
fn asks_for_lines(request: &Request) -> bool {
    let types = request.header("accept").unwrap_or_default().split(',');
    types.filter_map(|range| range.split(';').next()).any(|range| range.trim().eq_ignore_ascii_case(NDJSON))
}

/// `starting_after`: the event behind which a page starts.
pub(crate) fn after(query: &Query) -> Result<Option<i64>, Problem> {
    query.read("starting_after", "an event's id", |text| text.parse().ok())
}

/// A page of events.
pub(crate) fn events(page: &Page<Recorded>) -> Response {
    let events: Vec<Value> = page.items.iter().map(event_json).collect();
    Response::json(200, &json!({ "events": events, "has_more": page.has_more }))
}

fn event_json(event: &Recorded) -> Value {
    json!({
        "id": event.id,
        "subject": event.subject,
        "action": event.action,
        "actor": { "kind": event.actor_kind, "id": event.actor_id, "user_id": event.actor_user_id },
        "ip": event.ip,
        "request_id": event.request_id,
        "details": event.details,
        "refusal": event.refusal,
        "at": Rfc3339(event.at),
    })
}
