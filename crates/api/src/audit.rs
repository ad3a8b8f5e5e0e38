//! `GET /v1/audit-events`: an organization's audit trail, as a list or as a stream of all of it.

use bitting_http::{
    call::Call,
    event_body::{EventPageBody, lines},
    message::{NDJSON, Request, Response, Rfc3339},
    operation::Operation,
    paging::{DEFAULT_LIMIT, MAX_LIMIT},
    problem::Problem,
    typed::{InQuery, Json, Output, Whole},
};
use bitting_keys::{
    app::{Principal, audit::AuditLog, error::Error},
    domain::{
        audit::AuditFilter,
        id::{KeyId, UserId},
    },
};
use futures_util::TryStreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Which events to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// How many events at most; for pages alone.
    #[schemars(extend("default" = DEFAULT_LIMIT))]
    limit: Option<Whole<1, MAX_LIMIT, DEFAULT_LIMIT>>,
    /// The id of the last event of the page before.
    starting_after: Option<i64>,
    /// Events of this kind: `key.created`.
    action: Option<String>,
    /// Events that happened to what has this id.
    subject: Option<String>,
    /// Events that this key caused.
    actor_id: Option<KeyId>,
    /// Events that this user caused, by whichever key.
    user_id: Option<UserId>,
    /// Events from this instant on, a date-time with its offset or a date.
    since: Option<Rfc3339>,
    /// Events before this instant, a date-time with its offset or a date.
    until: Option<Rfc3339>,
    /// Attempts that were refused, or all but them.
    refused: Option<bool>,
}

/// The answer to a question about the trail.
pub(crate) enum Events {
    /// A page of them.
    Page(Json<EventPageBody>),
    /// All of them, as a stream of lines.
    Lines(Response),
}

impl Output for Events {
    fn response(self) -> Response {
        match self {
            Self::Page(page) => page.response(),
            Self::Lines(stream) => stream,
        }
    }

    fn describe(operation: &mut Operation<'_>) {
        Json::<EventPageBody>::describe(operation);
        let description = "All events, if `Accept` asks for this type: on each line one, as a page has them.";
        operation.another(200, NDJSON, &json!({ "type": "string", "description": description }));
    }
}

pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Events, Problem> {
    let filter = AuditFilter {
        action: query.action,
        subject: query.subject,
        actor_id: query.actor_id,
        user_id: query.user_id,
        since: query.since.map(|Rfc3339(since)| since),
        until: query.until.map(|Rfc3339(until)| until),
        refused: query.refused,
    };
    if !asks_for_lines(call.request) {
        let Whole(limit) = query.limit.unwrap_or_default();
        let page = AuditLog::new(call.app).list(principal, &filter, query.starting_after, limit).await?;
        return Ok(Events::Page(Json(EventPageBody::new(page))));
    }
    if query.limit.is_some() {
        return Err(Error::invalid("limit", format!("is for pages: as {NDJSON} you get all events")).into());
    }
    let pieces = AuditLog::new(call.app).export(principal, filter, query.starting_after).await?;
    let pieces = pieces.map_ok(lines).map_err(|error| format!("{error:?}"));
    Ok(Events::Lines(Response::stream(NDJSON, pieces)))
}

/// Whether `Accept` names NDJSON; how much the caller would rather have something else is not weighed.
fn asks_for_lines(request: &Request) -> bool {
    let types = request.header("accept").unwrap_or_default().split(',');
    types.filter_map(|range| range.split(';').next()).any(|range| range.trim().eq_ignore_ascii_case(NDJSON))
}
