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
        audit_seal::FaultKind,
        id::{KeyId, UserId},
    },
};
use futures_util::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
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

/// The part of the audit log that is verified.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyQuery {
    /// The `next_cursor` of the answer about the part before.
    starting_after: Option<i64>,
}

/// The result of a verification of a part of the audit log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditVerification")]
pub(crate) struct VerificationBody {
    /// True if no fault was found in this part.
    valid: bool,
    /// The number of the last event that is sealed and was verified.
    verified_up_to: i64,
    /// The number of events in this part that were deleted after their retention. Only their seals were verified.
    pruned: i64,
    /// The number of events after the newest seal, at most some hundreds. Only their numbers were verified.
    unsealed: i64,
    /// The first fault.
    fault: Option<FaultBody>,
    /// The newest seal of the organization. Keep it elsewhere: what it seals cannot be changed without another seal.
    newest_seal: Option<SealBody>,
    /// True if there is more to verify.
    has_more: bool,
    /// The value of `starting_after` for the next part; null if there is none.
    next_cursor: Option<String>,
}

/// A fault of the audit log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditFault")]
struct FaultBody {
    /// The kind of fault: an event that is missing, one that was added in the place of a deleted one, one that was changed, or a seal that
    /// was.
    #[schemars(extend("enum" = ["event_missing", "event_added", "event_changed", "seal_changed"]))]
    code: &'static str,
    /// The number of the event. For what was changed, that of the first event of its seal.
    number: i64,
}

/// A seal of the audit log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditSeal")]
struct SealBody {
    /// The number of the last event that is sealed.
    number: i64,
    /// The hash of all events up to this one.
    hash: String,
    /// The time of the seal.
    sealed_at: Rfc3339,
}

/// Verifies that no event of the audit log is missing and none was changed, part by part, the oldest first.
pub(crate) async fn verify(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<VerifyQuery>,
) -> Result<Json<VerificationBody>, Problem> {
    let verification = AuditLog::new(call.app).verify(principal, query.starting_after).await?;
    let code = |kind| match kind {
        FaultKind::EventMissing => "event_missing",
        FaultKind::EventAdded => "event_added",
        FaultKind::EventChanged => "event_changed",
        FaultKind::SealChanged => "seal_changed",
    };
    Ok(Json(VerificationBody {
        valid: verification.fault.is_none(),
        verified_up_to: verification.checked.number,
        pruned: verification.checked.pruned,
        unsealed: verification.unsealed,
        fault: verification.fault.map(|fault| FaultBody { code: code(fault.kind), number: fault.number }),
        newest_seal: verification.newest.map(|seal| SealBody {
            number: seal.last_number,
            hash: seal.hash,
            sealed_at: Rfc3339(seal.sealed_at),
        }),
        has_more: verification.has_more,
        next_cursor: verification.has_more.then(|| verification.checked.number.to_string()),
    }))
}

/// True if `Accept` names NDJSON, with any weight.
fn asks_for_lines(request: &Request) -> bool {
    let types = request.header("accept").unwrap_or_default().split(',');
    types.filter_map(|range| range.split(';').next()).any(|range| range.trim().eq_ignore_ascii_case(NDJSON))
}
