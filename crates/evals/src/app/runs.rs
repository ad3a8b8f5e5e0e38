//! Runs: a live evaluation judges what is sent to it, for one credit, and its judgment can be read later.
//!
//! The credit and the run's row are one batch, so neither is without the other. What a rule judges is in the
//! row from the start. What a model judges is a row that says `running`, then the model is asked, then the row
//! is completed; if the model fails, or if this here dies and the sweep finds the row, it has failed. The credit pays
//! for the question: it goes back only if no answer of the model has arrived, in the batch that says so.

use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::{
        feed::{Feed, News},
        id::BoundTo,
        json::{MAX_DEPTH, depth},
        page::Page,
    },
    storage::{batch::Batch, changes, idempotency},
};

use crate::{
    app::{
        model::{INSUFFICIENT_CREDITS, LanguageModel, Unanswered},
        settings::Settings,
        shares::viewer,
    },
    domain::{
        access::{Sight, Viewer},
        dataset::DatasetRow,
        id::{LiveEvaluationId, RunId},
        run::{Run, RunFilter, RunState},
    },
    storage::{
        live_evaluations::{self, Deployment},
        runs,
    },
};

/// The use cases of runs.
pub struct Runs<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Runs<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Runs<'_> {
    /// Lets a live evaluation judge these values, for one credit.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller may not see it; [`Error::Conflict`] when it is inactive;
    /// [`Error::Invalid`] when the values do not fit; [`Error::PaymentRequired`] when no credit is left;
    /// [`Error::InProgress`] when the request is repeated before the first one has ended; the judge's.
    pub async fn execute(&self, principal: &Principal, id: LiveEvaluationId, inputs: DatasetRow) -> Result<Run, Error> {
        let viewer = runner(principal, id)?;
        let mut run = self.run_once(principal, viewer, id, inputs.clone()).await?;
        if run.state == RunState::Failed {
            // The sweep has ended it, which knows of no Idempotency-Key.
            let mut batch = Batch::new();
            forget(&mut batch, principal, &run);
            self.app.guarded(principal, batch).await?;
            run = self.run_once(principal, viewer, id, inputs).await?;
        }
        match run.state {
            RunState::Completed => Ok(run),
            RunState::Running | RunState::Failed => Err(Error::InProgress {
                code: "run_in_progress",
                message: "The first request with this Idempotency-Key is still being judged. \
                          Send it again in a moment.",
            }),
        }
    }

    /// Returns a new run that has ended, or the run of the first request with the same Idempotency-Key, in its state
    /// now.
    async fn run_once(
        &self,
        principal: &Principal,
        viewer: Viewer,
        id: LiveEvaluationId,
        inputs: DatasetRow,
    ) -> Result<Run, Error> {
        self.app
            .once(
                principal,
                runs::made,
                |_, run| Ok(run),
                async |attempt| {
                    let deployed = self.app.query(principal, live_evaluations::deployment(viewer, id)).await?;
                    let Deployment { evaluation_id, config, .. } = runnable(deployed)?;
                    config.check_inputs(&inputs)?;
                    if let Some((name, _)) = inputs.0.iter().find(|(_, value)| depth(value) > MAX_DEPTH) {
                        let message = format!("is nested more than {MAX_DEPTH} levels deep");
                        return Err(Error::invalid(&format!("inputs.{name}"), message));
                    }
                    let now = self.app.now();
                    let judgment = config.judge.by_rule(&inputs).judgment();
                    let ended = judgment.is_some();
                    if !ended {
                        self.app.count_question(viewer.organization_id).await?;
                    }
                    let run = Run {
                        id: RunId::new(now, self.app.random_bits()?),
                        organization_id: viewer.organization_id,
                        live_evaluation_id: id,
                        evaluation_id,
                        key_id: principal.snapshot.key_id,
                        user_id: principal.snapshot.user_id,
                        state: if ended { RunState::Completed } else { RunState::Running },
                        inputs,
                        judgment,
                        created_at: now,
                        finished_at: ended.then_some(now),
                    };
                    let mut batch = Batch::new();
                    let deployed = batch.add(live_evaluations::deployment(viewer, id));
                    batch.execute(runs::charge(viewer, id));
                    let inserted = batch.add(runs::insert(viewer, &run, Settings::of(self.app)?.trace_retention_ms));
                    let mut results = attempt.run(run.id, batch).await?;
                    if !results.take(inserted)? {
                        // It was stopped or taken away since it was read, or the last credit was spent.
                        runnable(results.take(deployed)?)?;
                        return Err(Error::Unavailable("a run that could be paid was not stored".to_owned()));
                    }
                    if ended {
                        return Ok(run);
                    }
                    match LanguageModel::new(self.app).judge(&config.judge, &run.inputs).await {
                        Ok(judgment) => self.complete(Run { judgment: Some(judgment), ..run }).await,
                        Err(Unanswered { error, answered }) => {
                            self.give_up(principal, &run, answered).await;
                            Err(error)
                        }
                    }
                },
            )
            .await
    }

    /// Stores the judgment of a model. The credit is spent and the model was asked, so this needs no guard: whether
    /// the key that asked may still be told is the question of [`App::still_good`], for which it brings the news.
    async fn complete(&self, run: Run) -> Result<Run, Error> {
        let Some(judgment) = &run.judgment else { return Ok(run) };
        let (since, now) = (self.app.isolate.feed(Feed::head), self.app.now());
        let mut batch = Batch::new();
        let completed = batch.add(runs::complete(run.id, judgment, now));
        let changes = batch.add(changes::since(since));
        let mut results = batch.run(&*self.app.database).await?;
        self.app.hear(&News { since, current_at: Some(now), changes: results.take(changes)? });
        if !results.take(completed)? {
            return Err(Error::Unavailable(format!(
                "the judge of {} was too slow, and the sweep has ended it",
                run.id
            )));
        }
        Ok(Run { state: RunState::Completed, finished_at: Some(now), ..run })
    }

    /// Ends a run whose judge has failed: the credit goes back unless the model has answered, and the Idempotency-Key
    /// is free again, so that the same request can be sent once more. If this fails too, the sweep finds the run.
    async fn give_up(&self, principal: &Principal, run: &Run, answered: bool) {
        let now = self.app.now();
        let mut batch = Batch::new();
        if !answered {
            batch.execute(runs::give_back_for(run.organization_id, run.id));
        }
        batch.execute(runs::fail(run.id, now));
        forget(&mut batch, principal, run);
        if let Err(error) = batch.run(&*self.app.database).await {
            log::warn!("{} waits for the sweep, without its credit: {error:?}", run.id);
        }
    }

    /// A page of at most `limit` runs of live evaluations that the caller may see, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        principal: &Principal,
        filter: RunFilter,
        after: Option<RunId>,
        limit: i64,
    ) -> Result<Page<Run>, Error> {
        self.app.query(principal, runs::list(viewer(principal)?, filter, after, limit)).await
    }

    /// One run.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when the caller may not see its live evaluation.
    pub async fn get(&self, principal: &Principal, id: RunId) -> Result<Run, Error> {
        self.app.query(principal, runs::get(viewer(principal)?, id)).await?.ok_or(Error::NotFound)
    }
}

/// Frees the Idempotency-Key under which a run was made that has failed.
fn forget(batch: &mut Batch, principal: &Principal, run: &Run) {
    if let Some(request) = &principal.repeatable {
        let key_id = principal.snapshot.key_id;
        batch.execute(idempotency::forget_one(key_id, &request.digest(), &run.id.to_string()));
    }
}

/// The viewer as whom the caller runs a live evaluation: its own key sees it and nothing else.
fn runner(principal: &Principal, id: LiveEvaluationId) -> Result<Viewer, Error> {
    match &principal.snapshot.bound_to {
        None => viewer(principal),
        Some(own) if *own == BoundTo::new(id) => {
            Ok(Viewer { organization_id: principal.snapshot.organization_id, sight: Sight::All })
        }
        Some(_) => Err(Error::NotFound),
    }
}

/// Returns the deployment if it accepts runs now.
fn runnable(deployed: Option<Deployment>) -> Result<Deployment, Error> {
    let deployed = deployed.ok_or(Error::NotFound)?;
    if !deployed.active {
        return Err(Error::Conflict {
            code: "live_evaluation_inactive",
            message: "This live evaluation is inactive. Its owner can activate it.",
        });
    }
    if deployed.credits == Some(0) {
        return Err(INSUFFICIENT_CREDITS);
    }
    Ok(deployed)
}
