//! Runs: a live evaluation judges what is sent to it, for one credit, and what it said can be read later.
//!
//! The credit and the run's row are one batch, so neither is without the other. What a rule judges is in the
//! row from the start. What a model judges is a row that says `running`, then the model is asked, then the row
//! is completed; if the model fails, or if this here dies and the sweep finds the row, it has failed, and the
//! credit goes back in the batch that says so.

use crate::{
    app::{App, Principal, datasets::viewer, error::Error, keys::Page, take},
    domain::{
        access::{Sight, Viewer},
        dataset::Row,
        feed::Feed,
        id::{LiveEvaluationId, RunId},
        idempotency::Repeatable,
        json::{MAX_DEPTH, depth},
        run::{Filter, Run, RunState},
    },
    ports::Statement,
    storage::{
        changes, idempotency,
        live_evaluations::{self, Deployed},
        runs,
    },
};

impl App {
    /// Lets a live evaluation judge these values, for one credit.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller may not see it; [`Error::Conflict`] when it is inactive;
    /// [`Error::Invalid`] when the values do not fit; [`Error::PaymentRequired`] when no credit is left;
    /// [`Error::Running`] when the request is repeated before the first one has ended; what the judge says.
    pub async fn run(&self, by: &Principal, id: LiveEvaluationId, inputs: Row) -> Result<Run, Error> {
        by.subscribed()?;
        match self.run_once(by, id, inputs.clone()).await {
            Err(error) if error.withdrawn() => Err(error),
            Err(error) => {
                let (first, mut results) = self.made_before(by, error, &[runs::made]).await?;
                let run = runs::read(take(&mut results, 0))?.pop().ok_or(Error::Spent(first.subject))?;
                match run.state {
                    RunState::Completed => Ok(run),
                    RunState::Running => Err(Error::Running),
                    RunState::Failed => {
                        // The sweep has ended it, which knows of no Idempotency-Key.
                        self.guarded(by, forget(by, &run)).await?;
                        self.run_once(by, id, inputs).await
                    }
                }
            }
            run => run,
        }
    }

    async fn run_once(&self, by: &Principal, id: LiveEvaluationId, inputs: Row) -> Result<Run, Error> {
        let viewer = runner(by, id)?;
        let mut results = self.guarded(by, vec![live_evaluations::deployed(viewer, id)]).await?;
        let Deployed { evaluation_id, config, .. } = runnable(live_evaluations::read_deployed(take(&mut results, 0))?)?;
        let invalid = |(field, message): (String, String)| Error::Invalid { field: Some(field), message };
        config.check_inputs(&inputs).map_err(invalid)?;
        if let Some((name, _)) = inputs.0.iter().find(|(_, value)| depth(value) > MAX_DEPTH) {
            let message = format!("is nested more than {MAX_DEPTH} levels deep");
            return Err(Error::invalid(&format!("inputs.{name}"), message));
        }
        let now = self.now();
        let judgment = config.judge.by_rule(&inputs).ok();
        let ended = judgment.is_some();
        let run = Run {
            id: RunId::new(now, self.random_bits()?),
            organization_id: by.snapshot.organization_id,
            live_evaluation_id: id,
            evaluation_id,
            key_id: by.snapshot.key_id,
            user_id: by.snapshot.user_id,
            state: if ended { RunState::Completed } else { RunState::Running },
            inputs,
            judgment,
            created_at: now,
            finished_at: ended.then_some(now),
        };
        let statements = vec![
            live_evaluations::deployed(viewer, id),
            runs::charge(viewer, id),
            runs::insert(viewer, &run, self.config.trace_retention_ms),
        ];
        let mut results = self.guarded_once(by, None, &run.id.to_string(), statements).await?;
        if take(&mut results, 2).is_empty() {
            // It was stopped or taken away since it was read, or the last credit was spent.
            runnable(live_evaluations::read_deployed(take(&mut results, 0))?)?;
            return Err(Error::Unavailable("a run that could be paid was not stored".to_owned()));
        }
        if ended {
            return Ok(run);
        }
        match self.judge(&config.judge, &run.inputs).await {
            Ok(judgment) => self.complete(Run { judgment: Some(judgment), ..run }).await,
            Err(error) => {
                self.give_up(by, &run).await;
                Err(error)
            }
        }
    }

    /// Stores what a model has said. The credit is spent and the model was asked, so this needs no guard: whether
    /// the key that asked may still be told is the question of [`App::still_good`], for which it brings the news.
    async fn complete(&self, run: Run) -> Result<Run, Error> {
        let Some(judgment) = &run.judgment else { return Ok(run) };
        let (asked, now) = (self.isolate.feed(Feed::head), self.now());
        let batch = vec![runs::complete(run.id, judgment, now), changes::news(asked)];
        let mut results = self.database.batch(batch).await?;
        self.isolate.hear(&changes::read_news(asked, now, take(&mut results, 1))?);
        if take(&mut results, 0).is_empty() {
            return Err(Error::Unavailable(format!(
                "the judge of {} was too slow, and the sweep has ended it",
                run.id
            )));
        }
        Ok(Run { state: RunState::Completed, finished_at: Some(now), ..run })
    }

    /// Ends a run whose judge has failed: the credit goes back, and the Idempotency-Key is free again, so that the
    /// same request can be sent once more. If this fails too, the sweep finds the run.
    async fn give_up(&self, by: &Principal, run: &Run) {
        let now = self.now();
        let mut batch = runs::fail(run.organization_id, run.id, now).to_vec();
        batch.extend(forget(by, run));
        if let Err(error) = self.database.batch(batch).await {
            log::warn!("the credit of {} waits for the sweep: {error:?}", run.id);
        }
    }

    /// A page of at most `limit` runs of live evaluations that the caller may see, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn list_runs(
        &self,
        by: &Principal,
        filter: Filter,
        after: Option<RunId>,
        limit: i64,
    ) -> Result<Page<Run>, Error> {
        let mut results = self.guarded(by, vec![runs::list(viewer(by)?, filter, after, limit + 1)]).await?;
        Ok(Page::of(runs::read(take(&mut results, 0))?, limit))
    }

    /// One run.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when the caller may not see its live evaluation.
    pub async fn run_details(&self, by: &Principal, id: RunId) -> Result<Run, Error> {
        let mut results = self.guarded(by, vec![runs::get(viewer(by)?, id)]).await?;
        runs::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }
}

/// Frees the Idempotency-Key under which a run was made that has failed.
fn forget(by: &Principal, run: &Run) -> Vec<Statement> {
    let forget =
        |request: &Repeatable| idempotency::forget_one(by.snapshot.key_id, &request.digest(), &run.id.to_string());
    by.repeatable.iter().map(forget).collect()
}

/// As whom the caller sees the live evaluation that he wants to run: its own key sees it and nothing else.
fn runner(by: &Principal, id: LiveEvaluationId) -> Result<Viewer, Error> {
    match by.snapshot.live_evaluation_id {
        None => viewer(by),
        Some(own) if own == id => {
            by.subscribed()?;
            Ok(Viewer { organization_id: by.snapshot.organization_id, sight: Sight::All })
        }
        Some(_) => Err(Error::NotFound),
    }
}

/// Whether a live evaluation can run now.
fn runnable(deployed: Option<Deployed>) -> Result<Deployed, Error> {
    let deployed = deployed.ok_or(Error::NotFound)?;
    if deployed.active == 0 {
        return Err(Error::Conflict {
            code: "live_evaluation_inactive",
            message: "This live evaluation is inactive. Whoever may change it can activate it.",
        });
    }
    if deployed.credits == Some(0) {
        return Err(Error::PaymentRequired {
            code: "insufficient_credits",
            message: "The credits of this organization are used up. Ask whoever runs this service for more.",
        });
    }
    Ok(deployed)
}
