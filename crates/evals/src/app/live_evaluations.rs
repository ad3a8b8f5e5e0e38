//! Live evaluations: deployed with a key of their own, changed, switched off and on.

use bitting_keys::{
    app::{App, Principal, error::Error, idempotency::Attempt, keys::Keys},
    domain::{
        expected::Expected,
        grant::{Grant, Granted},
        id::{BoundTo, KeyId},
        key::{Created, Key, Life, Name, Role},
        key_text::{KeyKind, KeyText},
        page::Page,
        scope::{Scope, Scopes},
        standing::Standing,
    },
    storage::{
        audit::Event,
        batch::{Batch, Handle},
    },
};
use serde_json::{Map, Value, json};

use crate::{
    app::shares::{Shares, viewer, writable},
    domain::{
        access::{Part, Permitted, Resource},
        evaluation::Evaluation,
        id::{EvaluationId, LiveEvaluationId},
        live_evaluation::{LiveEvaluation, LiveEvaluationChange, WorkingKey},
    },
    storage::{evaluations, live_evaluations},
};

/// The scope of a live evaluation's key.
pub(crate) const EXECUTE: Scope = Scope::named("live-evaluations:execute");

/// A live evaluation to be deployed.
#[derive(Debug, Clone)]
pub struct NewLiveEvaluation {
    /// The evaluation.
    pub evaluation_id: EvaluationId,
    /// Its name; `None`: the evaluation's.
    pub name: Option<Name>,
    /// A person's note about it.
    pub description: Option<String>,
}

/// The use cases of live evaluations.
pub struct LiveEvaluations<'a> {
    pub(crate) app: &'a App,
}

impl<'a> LiveEvaluations<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl LiveEvaluations<'_> {
    /// Deploys an evaluation as it is now, with a key of its own. Two round trips: what is there, and what
    /// comes of it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller may not see the evaluation; [`Error::Conflict`] when it is a draft;
    /// [`Error::Exceeds`] when the key would hold more than its maker.
    pub async fn deploy(
        &self,
        principal: &Principal,
        new: NewLiveEvaluation,
    ) -> Result<(LiveEvaluation, Created), Error> {
        let viewer = viewer(principal)?;
        self.app
            .once_key_with(principal, live_evaluations::made, async |mut attempt| {
                let evaluation = self.app.query(principal, evaluations::get(viewer, new.evaluation_id)).await?;
                let evaluation = deployable(evaluation)?;
                let now = self.app.now();
                let live = LiveEvaluation {
                    id: LiveEvaluationId::new(now, self.app.random_bits()?),
                    organization_id: viewer.organization_id,
                    user_id: viewer.user_id(),
                    project_id: viewer.project_id(),
                    evaluation_id: new.evaluation_id,
                    name: new.name.unwrap_or(evaluation.name),
                    description: new.description,
                    config: evaluation.config,
                    active: true,
                    key: None,
                    created_at: now,
                    updated_at: now,
                };
                let (created, granted) = self.live_key(&mut attempt, principal, &live)?;
                let details = json!({ "name": live.name, "evaluation_id": live.evaluation_id });
                let deployed = self.live_event(principal, live.id, "live_evaluation.deployed", details);
                let mut batch = Batch::new();
                batch.execute(live_evaluations::insert(viewer, &live, evaluation.updated_at));
                let number = self.add_live_key(&mut batch, principal, &created, granted);
                batch.execute(self.app.record_if_changed(principal, &deployed));
                let mut results = attempt.run(created.key.id, batch).await?;
                with_key(live, created, results.take(number)?)
            })
            .await
    }

    /// Gives a live evaluation a new key and ends the one that it has, if there is one, in one batch.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`]; [`Error::Exceeds`] when the key would hold more than its maker;
    /// [`Error::Conflict`] if someone else does the same.
    pub async fn regenerate(
        &self,
        principal: &Principal,
        id: LiveEvaluationId,
    ) -> Result<(LiveEvaluation, Created), Error> {
        let viewer = viewer(principal)?;
        self.app
            .once_key_with(principal, live_evaluations::made, async |mut attempt| {
                let live = writable(self.app.query(principal, live_evaluations::get(viewer, id)).await?)?;
                let (created, granted) = self.live_key(&mut attempt, principal, &live)?;
                let now = created.key.created_at;
                let mut batch = Batch::new();
                if let Some(key) = &live.key {
                    let revoked = Event::new(live.organization_id, key.id, "key.revoked", json!({}), now);
                    batch.execute(live_evaluations::revoke_key(viewer, &live, now));
                    batch.execute(self.app.record_if_changed(principal, &revoked));
                }
                let changed = batch.add(live_evaluations::touch(viewer, &live, now));
                let number = self.add_live_key(&mut batch, principal, &created, granted);
                let mut results = attempt.run(created.key.id, batch).await?;
                let changed = results.take(changed)?.ok_or(CHANGED)?;
                with_key(changed, created, results.take(number)?)
            })
            .await
    }

    /// Adds the statements that store the new key of a live evaluation, if the one before has changed a row; the handle
    /// takes the key's number.
    fn add_live_key(
        &self,
        batch: &mut Batch,
        principal: &Principal,
        created: &Created,
        granted: Granted,
    ) -> Handle<Option<i64>> {
        let insert = Keys::new(self.app).insert(&created.key, &created.text, principal.snapshot.policy, granted);
        let number = batch.add(insert);
        batch.execute(self.app.record_if_changed(principal, &Keys::created_event(&created.key)));
        number
    }

    /// The new key of a live evaluation, which lasts as long as the policy and its maker let it.
    fn live_key(
        &self,
        attempt: &mut Attempt<'_>,
        principal: &Principal,
        live: &LiveEvaluation,
    ) -> Result<(Created, Granted), Error> {
        let now = self.app.now();
        let scopes = Scopes::List(vec![EXECUTE]);
        let expires_at = principal.snapshot.policy.expiry_unasked(principal.snapshot.ends_at(), now);
        let conditions = principal.snapshot.conditions.clone();
        let grant = Grant::Key { scopes: &scopes, conditions: &conditions, role: Role::Member, expires_at };
        let granted = principal.grants(&grant)?;
        let source = attempt.secret_bytes()?;
        let text = KeyText::generate(&self.app.config.brand, None, KeyKind::Sk, source).map_err(Error::Unavailable)?;
        let key = Key {
            id: KeyId::new(now, self.app.random_bits()?),
            number: 0,
            organization_id: live.organization_id,
            user_id: None,
            // A key ends with the project of its live evaluation.
            project_id: live.project_id,
            bound_to: Some(BoundTo::new(live.id)),
            kind: KeyKind::Sk,
            name: live.name.clone(),
            preview: text.preview(),
            scopes,
            conditions,
            role: Role::Member,
            metadata: Map::new(),
            operator_metadata: Map::new(),
            life: Life { expires_at, disabled_at: None, revoked_at: None },
            created_at: now,
            creator: principal.snapshot.creator(),
            updated_at: now,
            last_used_at: None,
            last_used_from: None,
            rotation: None,
            standing: Standing::Good,
        };
        Ok((Created { key, text }, granted))
    }

    /// A page of at most `limit` live evaluations that the caller may see, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        principal: &Principal,
        after: Option<LiveEvaluationId>,
        limit: i64,
    ) -> Result<Page<LiveEvaluation>, Error> {
        let part = Part { after, skip: 0, limit };
        self.app.query(principal, live_evaluations::list(viewer(principal)?, part)).await
    }

    /// One live evaluation.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn get(&self, principal: &Principal, id: LiveEvaluationId) -> Result<LiveEvaluation, Error> {
        let found = self.app.query(principal, live_evaluations::get(viewer(principal)?, id)).await?;
        Ok(found.ok_or(Error::NotFound)?.item)
    }

    /// Changes a live evaluation: what it is called, which evaluation it runs, whether it runs.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for the evaluation; [`Error::Forbidden`]; [`Error::Conflict`] when the evaluation
    /// is a draft.
    pub async fn change(
        &self,
        principal: &Principal,
        id: LiveEvaluationId,
        change: LiveEvaluationChange,
        expected: Expected,
    ) -> Result<LiveEvaluation, Error> {
        let viewer = viewer(principal)?;
        let action = match change.active {
            Some(true) => "live_evaluation.activated",
            Some(false) => "live_evaluation.deactivated",
            None => "live_evaluation.updated",
        };
        let changed = self.live_event(principal, id, action, details(&change));
        let mut batch = Batch::new();
        let is_changed = batch.add(live_evaluations::update(viewer, id, &change, expected, self.app.now()));
        batch.execute(self.app.record_if_changed(principal, &changed));
        let live = batch.add(live_evaluations::get(viewer, id));
        let evaluation = change.evaluation_id.map(|id| batch.add(evaluations::get(viewer, id)));
        let mut results = self.app.guarded(principal, batch).await?;
        let live = writable(results.take(live)?)?;
        if let Some(evaluation) = evaluation {
            deployable(results.take(evaluation)?)?;
        }
        if !results.take(is_changed)? {
            expected.check(live.updated_at)?;
        }
        Ok(live)
    }

    fn live_event(&self, principal: &Principal, id: LiveEvaluationId, action: &'static str, details: Value) -> Event {
        Shares::new(self.app).resource_event(principal, Resource::LiveEvaluation(id), action, details)
    }
}

const CHANGED: Error = Error::Conflict {
    code: "conflict",
    message: "Someone else changed this at the same time. Read it again, then decide.",
};

/// The live evaluation with its new key, if that was made and has a number.
fn with_key(live: LiveEvaluation, created: Created, number: Option<i64>) -> Result<(LiveEvaluation, Created), Error> {
    let number = number.ok_or(CHANGED)?;
    let preview = format!("{}…{}", created.key.preview.start, created.key.preview.last4);
    let key = Some(WorkingKey { id: created.key.id, preview });
    Ok((LiveEvaluation { key, ..live }, Created { key: Key { number, ..created.key }, text: created.text }))
}

/// Returns the evaluation if it can be deployed: a draft cannot.
fn deployable(found: Option<Permitted<Evaluation>>) -> Result<Evaluation, Error> {
    let Permitted { item: evaluation, .. } = found.ok_or(Error::NotFound)?;
    if !evaluation.draft {
        return Ok(evaluation);
    }
    Err(Error::Conflict {
        code: "evaluation_draft",
        message: "This evaluation is a generated draft. Review it, \
                  set its `draft` to false, then deploy it.",
    })
}

/// The details of a change's audit event.
fn details(change: &LiveEvaluationChange) -> Value {
    let mut details = Map::new();
    let changed = [
        ("name", change.name.as_ref().map(|name| json!(name))),
        ("description", change.description.as_ref().map(|description| json!(description))),
        ("evaluation_id", change.evaluation_id.map(|id| json!(id))),
    ];
    details.extend(changed.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Value::Object(details)
}
