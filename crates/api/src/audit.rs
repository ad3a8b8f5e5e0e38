//! `GET /v1/audit-events`: the audit log of an organization, as pages or as one stream.

use bitting_http::{
    call::Call,
    event_body::{EventBody, lines},
    message::{NDJSON, Request, Response, Rfc3339},
    operation::Operation,
    paging::{DEFAULT_LIMIT, MAX_LIMIT, PageBody},
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

/// The filters and the page of the audit log.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The maximum number of events on the page. Not allowed for an export.
    #[schemars(extend("default" = DEFAULT_LIMIT))]
    limit: Option<Whole<1, MAX_LIMIT, DEFAULT_LIMIT>>,
    /// The id of the last event on the previous page.
    starting_after: Option<i64>,
    /// Only events with this action, such as `key.created`.
    action: Option<String>,
    /// Only events about the key or other resource with this id.
    subject: Option<String>,
    /// Only events that this key caused.
    actor_id: Option<KeyId>,
    /// Only events that this user caused, with any key.
    user_id: Option<UserId>,
    /// Only events at or after this instant: a date-time with its offset, or a date.
    since: Option<Rfc3339>,
    /// Only events before this instant: a date-time with its offset, or a date.
    until: Option<Rfc3339>,
    /// True for refused attempts only; false for all other events.
    refused: Option<bool>,
}

/// The response: a page of the audit log, or an export.
pub(crate) enum Events {
    /// A page of events.
    Page(Json<PageBody<EventBody>>),
    /// All events, as a stream of lines.
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
        Json::<PageBody<EventBody>>::describe(operation);
        let description =
            "All events, if `Accept` names this media type. Each line has one event, in the same form as on a page.";
        operation.another(200, NDJSON, &json!({ "type": "string", "description": description }));
    }
}

/// Lists or exports the events of the audit log, the newest first.
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
        return Ok(Events::Page(Json(PageBody::new(page, EventBody::new))));
    }
    if query.limit.is_some() {
        return Err(Error::invalid("limit", format!("is not allowed here: {NDJSON} has all events")).into());
    }
    let pieces = AuditLog::new(call.app).export(principal, filter, query.starting_after).await?;
    let pieces = pieces.map_ok(lines).map_err(|error| format!("{error:?}"));
    Ok(Events::Lines(Response::stream(NDJSON, pieces)))
}

/// True if `Accept` names NDJSON, with any weight.
fn asks_for_lines(request: &Request) -> bool {
    let types = request.header("accept").unwrap_or_default().split(',');
    types.filter_map(|range| range.split(';').next()).any(|range| range.trim().eq_ignore_ascii_case(NDJSON))
}
