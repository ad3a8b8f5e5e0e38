//! Live evaluations: deployed with a key of their own, changed, switched off and on.

use serde_json::{Map, Value, json};

use crate::{
    app::{
        App, Principal,
        datasets::viewer,
        error::Error,
        keys::{Created, Page, check_holds},
        take,
    },
    domain::{
        access::{Part, Standing},
        evaluation::Evaluation,
        id::{EvaluationId, KeyId, LiveEvaluationId},
        idempotency::Nonce,
        key::{Key, KeyKind, Life, Name, Role},
        key_text::KeyText,
        live_evaluation::{Change, LiveEvaluation, WorkingKey},
        scope::{Scope, Scopes},
    },
    ports::Row,
    storage::{
        audit::Event,
        evaluations, keys,
        live_evaluations::{self, Seen},
    },
};

/// What the key of a live evaluation may do.
pub(crate) const EXECUTE: Scope = Scope::named("live-evaluations:execute");

/// A live evaluation to be deployed.
#[derive(Debug, Clone)]
pub struct NewLiveEvaluation {
    /// The evaluation.
    pub evaluation_id: EvaluationId,
    /// Its name; `None`: the evaluation's.
    pub name: Option<Name>,
    /// What a person wrote about it.
    pub description: Option<String>,
}

impl App {
    /// Deploys an evaluation as it is now, with a key of its own. Two round trips: what is there, and what
    /// comes of it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller may not see the evaluation; [`Error::Conflict`] when it is a draft;
    /// [`Error::Exceeds`] when the key would hold more than its maker.
    pub async fn deploy(&self, by: &Principal, new: NewLiveEvaluation) -> Result<(LiveEvaluation, Created), Error> {
        by.subscribed()?;
        match self.deploy_once(by, new).await {
            Err(error) => self.live_key_made_before(by, error).await,
            deployed => deployed,
        }
    }

    async fn deploy_once(&self, by: &Principal, new: NewLiveEvaluation) -> Result<(LiveEvaluation, Created), Error> {
        let viewer = viewer(by)?;
        let mut results = self.guarded(by, vec![evaluations::get(viewer, new.evaluation_id)]).await?;
        let evaluation = deployable(take(&mut results, 0))?;
        let now = self.now();
        let live = LiveEvaluation {
            id: LiveEvaluationId::new(now, self.random_bits()?),
            organization_id: by.snapshot.organization_id,
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
        let (created, nonce) = self.live_key(by, &live)?;
        let details = json!({ "name": live.name, "evaluation": live.evaluation_id });
        let statements = vec![
            live_evaluations::insert(viewer, &live, evaluation.updated_at),
            self.insert_key(&created.key, &created.text, by.snapshot.policy),
            self.record_if_changed(by, &Self::created_event(&created.key)),
            self.record_if_changed(by, &self.live_event(by, live.id, "live_evaluation.deployed", details)),
        ];
        let mut results = self.guarded_once(by, nonce, &created.key.id.to_string(), statements).await?;
        with_key(live, created, take(&mut results, 1))
    }

    /// Gives a live evaluation a new key and ends the one that it has, if there is one, in one batch.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ReadOnly`]; [`Error::Exceeds`] when the key would hold more than its maker;
    /// [`Error::Conflict`] when somebody else does the same.
    pub async fn regenerate(&self, by: &Principal, id: LiveEvaluationId) -> Result<(LiveEvaluation, Created), Error> {
        by.subscribed()?;
        match self.regenerate_once(by, id).await {
            Err(error) if error.withdrawn() => Err(error),
            Err(error) => self.live_key_made_before(by, error).await,
            regenerated => regenerated,
        }
    }

    async fn regenerate_once(&self, by: &Principal, id: LiveEvaluationId) -> Result<(LiveEvaluation, Created), Error> {
        let viewer = viewer(by)?;
        let Seen { live, standing } = self.seen_live_evaluation(by, id).await?;
        if standing < Standing::Write {
            return Err(Error::ReadOnly);
        }
        let (created, nonce) = self.live_key(by, &live)?;
        let now = created.key.created_at;
        let [revoke, change] = live_evaluations::revoke_key(viewer, &live, now);
        let mut statements = Vec::new();
        if let Some(before) = &live.key {
            let revoked = Event::new(live.organization_id, before.id, "key.revoked", json!({}), now);
            statements.extend([revoke, self.record_if_changed(by, &revoked)]);
        }
        let at = statements.len();
        statements.push(change);
        statements.push(self.insert_key(&created.key, &created.text, by.snapshot.policy));
        statements.push(self.record_if_changed(by, &Self::created_event(&created.key)));
        let mut results = self.guarded_once(by, nonce, &created.key.id.to_string(), statements).await?;
        let changed = live_evaluations::read(take(&mut results, at))?.pop().ok_or(CHANGED)?;
        with_key(changed.live, created, take(&mut results, at + 1))
    }

    /// The new key of a live evaluation, which lasts as long as the policy and its maker let it.
    fn live_key(&self, by: &Principal, live: &LiveEvaluation) -> Result<(Created, Option<Nonce>), Error> {
        let now = self.now();
        let scopes = Scopes::List(vec![EXECUTE]);
        let expires_at = by.snapshot.policy.expiry_unasked(by.snapshot.ends_at(), now);
        check_holds(by, &scopes, Role::Member, expires_at)?;
        let nonce = self.nonce(by)?;
        let source = self.secret_bytes(by, nonce.as_ref());
        let text = KeyText::generate(&self.config.brand, None, KeyKind::Sk, source).map_err(Error::Unavailable)?;
        let key = Key {
            id: KeyId::new(now, self.random_bits()?),
            number: 0,
            organization_id: live.organization_id,
            user_id: None,
            project_id: None,
            live_evaluation_id: Some(live.id),
            kind: KeyKind::Sk,
            name: live.name.clone(),
            preview: text.preview(),
            scopes,
            role: Role::Member,
            metadata: Map::new(),
            life: Life { expires_at, disabled_at: None, revoked_at: None },
            created_at: now,
            created_by: Some(by.snapshot.key_id),
            updated_at: now,
            last_used_at: None,
            rotation: None,
        };
        Ok((Created { key, text }, nonce))
    }

    async fn live_key_made_before(&self, by: &Principal, error: Error) -> Result<(LiveEvaluation, Created), Error> {
        let (created, live) = self.key_made_before(by, error, &[live_evaluations::made]).await?;
        let seen = live_evaluations::read(live)?.pop().ok_or(Error::NotFound)?;
        Ok((seen.live, created))
    }

    /// A page of at most `limit` live evaluations that the caller may see, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_live_evaluations(
        &self,
        by: &Principal,
        after: Option<LiveEvaluationId>,
        limit: i64,
    ) -> Result<Page<LiveEvaluation>, Error> {
        let part = Part { after, skip: 0, limit: limit + 1 };
        let mut results = self.guarded(by, vec![live_evaluations::list(viewer(by)?, part)]).await?;
        let seen = live_evaluations::read(take(&mut results, 0))?;
        Ok(Page::of(seen.into_iter().map(|seen| seen.live).collect(), limit))
    }

    /// One live evaluation.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn live_evaluation(&self, by: &Principal, id: LiveEvaluationId) -> Result<LiveEvaluation, Error> {
        Ok(self.seen_live_evaluation(by, id).await?.live)
    }

    async fn seen_live_evaluation(&self, by: &Principal, id: LiveEvaluationId) -> Result<Seen, Error> {
        let mut results = self.guarded(by, vec![live_evaluations::get(viewer(by)?, id)]).await?;
        live_evaluations::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Changes a live evaluation: what it is called, which evaluation it runs, whether it runs.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for the evaluation; [`Error::ReadOnly`]; [`Error::Conflict`] when the evaluation
    /// is a draft.
    pub(crate) async fn change_live_evaluation(
        &self,
        by: &Principal,
        id: LiveEvaluationId,
        change: Change,
    ) -> Result<LiveEvaluation, Error> {
        let viewer = viewer(by)?;
        let action = match change.active {
            Some(true) => "live_evaluation.activated",
            Some(false) => "live_evaluation.deactivated",
            None => "live_evaluation.updated",
        };
        let mut statements = vec![
            live_evaluations::update(viewer, id, &change, self.now()),
            self.record_if_changed(by, &self.live_event(by, id, action, described(&change))),
            live_evaluations::get(viewer, id),
        ];
        statements.extend(change.evaluation_id.map(|id| evaluations::get(viewer, id)));
        let mut results = self.guarded(by, statements).await?;
        let Seen { live, standing } = live_evaluations::read(take(&mut results, 2))?.pop().ok_or(Error::NotFound)?;
        if standing < Standing::Write {
            return Err(Error::ReadOnly);
        }
        if change.evaluation_id.is_some() {
            deployable(take(&mut results, 3))?;
        }
        Ok(live)
    }

    fn live_event(&self, by: &Principal, id: LiveEvaluationId, action: &'static str, details: Value) -> Event {
        Event::new(by.snapshot.organization_id, id, action, details, self.now())
    }
}

const CHANGED: Error = Error::Conflict {
    code: "conflict",
    message: "Someone else changed this at the same time. Read it again, then decide.",
};

/// The live evaluation with its new key, if that was made: `number` are the rows of its insertion.
fn with_key(live: LiveEvaluation, created: Created, number: Vec<Row>) -> Result<(LiveEvaluation, Created), Error> {
    let number = keys::read_number(number)?.ok_or(CHANGED)?;
    let preview = format!("{}…{}", created.key.preview.start, created.key.preview.last4);
    let key = Some(WorkingKey { id: created.key.id, preview });
    Ok((LiveEvaluation { key, ..live }, Created { key: Key { number, ..created.key }, text: created.text }))
}

/// The evaluation in these rows. What nobody has looked at yet is not deployed.
fn deployable(rows: Vec<Row>) -> Result<Evaluation, Error> {
    let (evaluation, _) = evaluations::read(rows)?.pop().ok_or(Error::NotFound)?;
    if !evaluation.draft {
        return Ok(evaluation);
    }
    Err(Error::Conflict {
        code: "evaluation_draft",
        message: "This evaluation was generated and nobody has looked at it yet. Look at it, set its `draft` to false, then deploy it.",
    })
}

/// The change as its audit event tells it.
fn described(change: &Change) -> Value {
    let mut details = Map::new();
    let told = [
        ("name", change.name.as_ref().map(|name| json!(name))),
        ("description", change.description.as_ref().map(|description| json!(description))),
        ("evaluation", change.evaluation_id.map(|id| json!(id))),
    ];
    details.extend(told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Value::Object(details)
}
