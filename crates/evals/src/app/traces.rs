//! Traces: taken in, spoken of, and told again. They belong to the organization of the key that sent
//! them, and to its project if it has one.

use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::key::Name,
    storage::batch::Batch,
};
use serde_json::value::RawValue;

use crate::{
    app::settings::Settings,
    domain::{
        id::{EvalId, FeedbackId, TraceId},
        trace::{EvalRequest, Feedback, Place, StoredFeedback, Trace},
    },
    storage::traces::{self, TraceReach},
};

/// The most traces in one batch.
const MAX_TRACES: usize = 1_000;
/// The most bytes of one trace as JSON. D1 takes 2,000,000 in a row.
const MAX_TRACE_BYTES: usize = 1_000_000;
/// The most bytes of one piece of feedback as JSON: lists tell several of each trace.
const MAX_FEEDBACK_BYTES: usize = 16_384;
/// The bytes of traces after which a page is full.
const FULL_PAGE_BYTES: i64 = 4_000_000;

/// A page of traces, the newest first.
#[derive(Debug, Clone)]
pub struct TracePage {
    /// The traces as JSON.
    pub traces: Vec<Box<RawValue>>,
    /// The place where the next page starts, if there is one.
    pub next: Option<Place>,
}

/// The use cases of traces.
pub struct Traces<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Traces<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Traces<'_> {
    /// Stores traces, all or none. One that is there already stays as it is, so that a sender whose
    /// connection broke can send again.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are too many, or one is too long.
    pub async fn ingest(&self, principal: &Principal, traces: &[Trace]) -> Result<(), Error> {
        if traces.len() > MAX_TRACES {
            let message = format!("has {}; at most {MAX_TRACES} are taken at once", traces.len());
            return Err(Error::invalid("traces", message));
        }
        let too_long = traces.iter().map(|trace| trace.trace.get().len()).enumerate();
        if let Some((index, bytes)) = too_long.into_iter().find(|(_, bytes)| *bytes > MAX_TRACE_BYTES) {
            let message = format!("has {bytes} bytes as JSON; at most {MAX_TRACE_BYTES} are kept");
            return Err(Error::invalid(&format!("traces[{index}]"), message));
        }
        let mut batch = Batch::new();
        batch.extend(traces::insert(
            reach(principal),
            traces,
            self.app.now(),
            Settings::of(self.app)?.trace_retention_ms,
        ));
        self.app.guarded(principal, batch).await?;
        Ok(())
    }

    /// Stores feedback on a trace, which need not be stored yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is too long.
    pub async fn give_feedback(
        &self,
        principal: &Principal,
        trace_id: TraceId,
        feedback: Feedback,
    ) -> Result<FeedbackId, Error> {
        let bytes = serde_json::to_string(&feedback).map_or(usize::MAX, |text| text.len());
        if bytes > MAX_FEEDBACK_BYTES {
            let message = format!("The feedback has {bytes} bytes as JSON; at most {MAX_FEEDBACK_BYTES} are kept");
            return Err(Error::invalid_request(message));
        }
        self.app
            .once_id(principal, FeedbackId::parse, async |attempt| {
                let now = self.app.now();
                let stored = StoredFeedback { id: FeedbackId::new(now, self.app.random_bits()?), trace_id, feedback };
                let insert =
                    traces::insert_feedback(reach(principal), &stored, now, Settings::of(self.app)?.trace_retention_ms);
                let mut batch = Batch::new();
                batch.execute(insert);
                attempt.run(stored.id, batch).await?;
                Ok(stored.id)
            })
            .await
    }

    /// Stores a request to evaluate a trace, which need not be there yet.
    ///
    /// # Errors
    /// The database's.
    pub async fn request_eval(
        &self,
        principal: &Principal,
        trace_id: TraceId,
        evaluator_type: Name,
        metric_name: Name,
    ) -> Result<EvalId, Error> {
        self.app
            .once_id(principal, EvalId::parse, async |attempt| {
                let now = self.app.now();
                let id = EvalId::new(now, self.app.random_bits()?);
                let request = EvalRequest { id, trace_id, evaluator_type, metric_name };
                let insert =
                    traces::insert_eval(reach(principal), &request, now, Settings::of(self.app)?.trace_retention_ms);
                let mut batch = Batch::new();
                batch.execute(insert);
                attempt.run(id, batch).await?;
                Ok(id)
            })
            .await
    }

    /// A page of at most `limit` traces, and fewer when they are long.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, principal: &Principal, after: Option<Place>, limit: usize) -> Result<TracePage, Error> {
        // One more than asked tells whether there are more.
        let fetched = i64::try_from(limit).unwrap_or(0) + 1;
        let rows = self.app.query(principal, traces::list(reach(principal), after, fetched, FULL_PAGE_BYTES)).await?;
        let more = rows.len();
        let mut page = TracePage { traces: Vec::new(), next: None };
        let mut last = None;
        for row in rows {
            let place = row.place();
            let Some(trace) = row.trace.filter(|_| page.traces.len() < limit) else { break };
            page.traces.push(trace);
            last = Some(place);
        }
        page.next = last.filter(|_| page.traces.len() < more);
        Ok(page)
    }
}

/// The traces that the caller may see and send.
fn reach(principal: &Principal) -> TraceReach {
    TraceReach { organization_id: principal.snapshot.organization_id, project_id: principal.snapshot.project_id }
}
