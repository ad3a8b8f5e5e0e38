//! Traces, feedback and evaluation requests, as TruLayer's libraries send them and ask for them.

use bitting_http::{
    call::Call,
    input::{self, Query},
    message::Response,
    problem::Problem,
};
use bitting_keys::{
    app::{Principal, error::Error},
    domain::{json_input, key::Name, time::UnixMillis},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    app::traces::Traces,
    domain::{
        id::TraceId,
        trace::{Feedback, Place, Trace},
    },
};

/// The most traces on a page, and the number of traces if no limit is given.
const MAX_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 50;

/// Stores a batch of traces. A trace whose id is stored already stays as it is.
pub(crate) async fn ingest(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    struct TraceBatch {
        traces: Vec<Box<RawValue>>,
    }
    let body: TraceBatch = input::body_as_sent(call.request)?;
    let now = call.app.clock.now();
    let traces = body.traces.into_iter().enumerate();
    let traces: Vec<Trace> = traces.map(|(index, json)| trace(index, json, now)).collect::<Result<_, _>>()?;
    Traces::new(call.app).ingest(principal, &traces).await?;
    let ids: Vec<TraceId> = traces.iter().map(|trace| trace.id).collect();
    Ok(Response::json(201, &json!({ "ingested": ids.len(), "ids": ids })))
}

/// Reads the fields of a trace that matter here. The whole trace is kept as it was sent.
fn trace(index: usize, json: Box<RawValue>, now: UnixMillis) -> Result<Trace, Error> {
    #[derive(Deserialize)]
    struct Head {
        id: String,
        started_at: Option<String>,
    }
    let field = |name: &str| format!("traces[{index}]{name}");
    let head: Head = json_input::read(json.get().as_bytes()).map_err(|error| {
        let error = error.at(index).within("traces");
        Error::invalid(&error.path, error.message("field"))
    })?;
    let started_at = match head.started_at {
        None => now,
        Some(text) => UnixMillis::parse(&text)
            .ok_or_else(|| Error::invalid(&field(".started_at"), "must be an RFC 3339 date-time with its offset"))?,
    };
    let id = TraceId::parse(&head.id).ok_or_else(|| Error::invalid(&field(".id"), "must be a UUID"))?;
    Ok(Trace { id, started_at, trace: json })
}

/// Stores feedback on a trace.
pub(crate) async fn feedback(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    struct NewFeedback {
        trace_id: TraceId,
        label: Name,
        score: Option<f64>,
        comment: Option<String>,
        #[serde(default)]
        metadata: Map<String, Value>,
    }
    let NewFeedback { trace_id, label, score, comment, metadata } = input::body(call.request)?;
    let id =
        Traces::new(call.app).give_feedback(principal, trace_id, Feedback { label, score, comment, metadata }).await?;
    Ok(Response::json(201, &json!({ "id": id, "trace_id": trace_id })))
}

/// Requests an evaluation of a trace.
pub(crate) async fn eval(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    struct NewEvalRequest {
        trace_id: TraceId,
        evaluator_type: Name,
        metric_name: Name,
    }
    let body: NewEvalRequest = input::body(call.request)?;
    let id =
        Traces::new(call.app).request_eval(principal, body.trace_id, body.evaluator_type, body.metric_name).await?;
    Ok(Response::json(202, &json!({ "eval_id": id, "status": "pending" })))
}

/// Lists traces, the newest first, each with its feedback and evaluations.
pub(crate) async fn list_traces(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct PageBody<'a> {
        traces: &'a [Box<RawValue>],
        #[serde(skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
        has_more: bool,
    }
    let query = Query::strict(call.request, &["limit", "cursor"])?;
    let limit = query.read("limit", &format!("a whole number from 1 to {MAX_PAGE}"), |text| {
        text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit))
    })?;
    let after = query.read("cursor", "the `next_cursor` of a page", place)?;
    let page = Traces::new(call.app).list(principal, after, limit.unwrap_or(DEFAULT_PAGE)).await?;
    let next_cursor = page.next.map(|place| format!("{}_{}", place.started_at.0, place.id));
    Ok(Response::json(200, &PageBody { traces: &page.traces, has_more: next_cursor.is_some(), next_cursor }))
}

/// Reads a cursor.
fn place(text: &str) -> Option<Place> {
    let (started_at, id) = text.split_once('_')?;
    Some(Place { started_at: UnixMillis(started_at.parse().ok()?), id: TraceId::parse(id)? })
}
