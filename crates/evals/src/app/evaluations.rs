//! Evaluations and their variants: made, read, changed, ended.

use bitting_keys::{
    app::{App, Principal, error::Error, idempotency::Attempt},
    domain::{expected::Expected, idempotency::FirstRequest, key::Name, page::Page},
    storage::{
        audit::{self, Event},
        batch::Batch,
    },
};
use serde_json::json;

use crate::{
    app::{
        datasets::Datasets,
        shares::{READ_ONLY, Shares, viewer, writable},
    },
    domain::{
        access::{AccessLevel, Part, Permitted, Resource},
        evaluation::{Evaluation, EvaluationConfig, InputColumn},
        generate::{Agreement, SAMPLE_ROWS, generate},
        id::{DatasetId, EvaluationId},
        judge::{InvalidField, Judge},
    },
    storage::{access, evaluations},
};

/// The most variants of an evaluation.
const MAX_VARIANTS: i64 = 100;

/// A change of an evaluation; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct EvaluationChange {
    /// The name.
    pub name: Option<Name>,
    /// The description; `Some(None)`: none.
    pub description: Option<Option<String>>,
    /// The columns.
    pub columns: Option<Vec<InputColumn>>,
    /// The judge.
    pub judge: Option<Judge>,
    /// True if a person has approved it.
    pub reviewed: bool,
}

impl EvaluationChange {
    fn apply(self, evaluation: &mut Evaluation) -> Result<(), Error> {
        let Evaluation { name, description, config, draft, .. } = evaluation;
        if let Some(new) = self.name {
            *name = new;
        }
        if let Some(new) = self.description {
            *description = new;
        }
        if let Some(new) = self.columns {
            config.columns = new;
        }
        if let Some(new) = self.judge {
            config.judge = new;
        }
        *draft &= !self.reviewed;
        check(config)
    }
}

fn check(config: &EvaluationConfig) -> Result<(), Error> {
    Ok(config.check()?)
}

impl From<InvalidField> for Error {
    fn from(InvalidField { field, message }: InvalidField) -> Self {
        Self::invalid(&field, message)
    }
}

/// The use cases of evaluations and their variants.
pub struct Evaluations<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Evaluations<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Evaluations<'_> {
    /// Makes an evaluation.
    ///
    /// # Errors
    /// [`Error::Invalid`] for columns and a judge that do not fit together.
    pub async fn create(
        &self,
        principal: &Principal,
        name: Name,
        description: Option<String>,
        config: EvaluationConfig,
    ) -> Result<Permitted<Evaluation>, Error> {
        check(&config)?;
        let answer = |_: FirstRequest, evaluation| made(principal, evaluation);
        self.app
            .once(principal, evaluations::made, answer, async |attempt| {
                self.insert(attempt, principal, name, description, config, None).await
            })
            .await
    }

    /// Makes a draft of an evaluation from what a data set holds. Two round trips: its rows, and the draft.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when the data set is there but the caller may not see it; [`Error::Invalid`] when
    /// nothing can be made of it.
    pub async fn generate(
        &self,
        principal: &Principal,
        dataset_id: DatasetId,
        name: Option<Name>,
    ) -> Result<(Permitted<Evaluation>, Option<Agreement>), Error> {
        let mut agreement = None;
        let answer = |_: FirstRequest, evaluation| made(principal, evaluation);
        let generated = self
            .app
            .once(principal, evaluations::made, answer, async |attempt| {
                let found = Datasets::new(self.app).rows(principal, dataset_id, 0, SAMPLE_ROWS).await?;
                let rows: Vec<_> = found.rows.into_iter().map(|(_, row)| row).collect();
                let generated = generate(&found.dataset, &rows).map_err(|why| Error::invalid("dataset_id", why))?;
                agreement = generated.agreement;
                let name = name.unwrap_or(found.dataset.name);
                self.insert(attempt, principal, name, None, generated.config, Some(dataset_id)).await
            })
            .await?;
        Ok((generated, agreement))
    }

    /// Makes an evaluation, which is a draft if it was generated from a data set.
    async fn insert(
        &self,
        attempt: Attempt<'_>,
        principal: &Principal,
        name: Name,
        description: Option<String>,
        config: EvaluationConfig,
        dataset_id: Option<DatasetId>,
    ) -> Result<Permitted<Evaluation>, Error> {
        let viewer = viewer(principal)?;
        let now = self.app.now();
        let evaluation = Evaluation {
            id: EvaluationId::new(now, self.app.random_bits()?),
            organization_id: viewer.organization_id,
            user_id: viewer.user_id(),
            project_id: viewer.project_id(),
            base_id: None,
            dataset_id,
            name,
            description,
            config,
            draft: dataset_id.is_some(),
            created_at: now,
            updated_at: now,
        };
        let created = self.created(principal, &evaluation);
        let mut batch = Batch::new();
        batch.execute(evaluations::insert(&evaluation));
        batch.execute(audit::record(&principal.actor(), &created, self.app.config.audit_retention));
        attempt.run(evaluation.id, batch).await?;
        Ok(Permitted { item: evaluation, permission: AccessLevel::Own })
    }

    fn created(&self, principal: &Principal, evaluation: &Evaluation) -> Event {
        let details = match evaluation.base_id {
            Some(base_id) => json!({ "name": evaluation.name, "base_id": base_id }),
            None => json!({ "name": evaluation.name, "dataset_id": evaluation.dataset_id }),
        };
        Shares::new(self.app).resource_event(
            principal,
            Resource::Evaluation(evaluation.id),
            "evaluation.created",
            details,
        )
    }

    /// A part of the evaluations that the caller may see, the newest first; without variants if `base_only`.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        principal: &Principal,
        base_only: bool,
        part: Part<EvaluationId>,
    ) -> Result<Page<Permitted<Evaluation>>, Error> {
        self.app.query(principal, evaluations::list(viewer(principal)?, base_only, part)).await
    }

    /// An evaluation.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn get(&self, principal: &Principal, id: EvaluationId) -> Result<Permitted<Evaluation>, Error> {
        self.app.query(principal, evaluations::get(viewer(principal)?, id)).await?.ok_or(Error::NotFound)
    }

    /// Changes an evaluation. Two round trips: what is there, and what it becomes.
    ///
    /// # Errors
    /// [`Error::Conflict`] if someone else changed it first.
    pub async fn change(
        &self,
        principal: &Principal,
        id: EvaluationId,
        change: EvaluationChange,
        expected: Expected,
    ) -> Result<Permitted<Evaluation>, Error> {
        let viewer = viewer(principal)?;
        let mut evaluation = writable(self.app.query(principal, evaluations::get(viewer, id)).await?)?;
        expected.check(evaluation.updated_at)?;
        change.apply(&mut evaluation)?;
        let changed = self.app.query(principal, evaluations::update(viewer, &evaluation, self.app.now())).await?;
        changed.ok_or(Error::Conflict {
            code: "conflict",
            message: "Someone else changed this evaluation at the same time. Read it again, then decide.",
        })
    }

    /// Deletes an evaluation with its variants. What was deployed of it runs on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn delete(&self, principal: &Principal, id: EvaluationId) -> Result<(), Error> {
        let viewer = viewer(principal)?;
        let resource = Resource::Evaluation(id);
        let deleted = Shares::new(self.app).resource_event(principal, resource, "evaluation.deleted", json!({}));
        let mut batch = Batch::new();
        let permission = batch.add(access::permission(viewer, resource));
        batch.execute(evaluations::delete(viewer, id));
        batch.execute(self.app.record_if_changed(principal, &deleted));
        let permission = self.app.guarded(principal, batch).await?.take(permission)?.ok_or(Error::NotFound)?;
        if permission < AccessLevel::Write { Err(READ_ONLY) } else { Ok(()) }
    }

    /// A page of at most `limit` variants of an evaluation, the newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn list_variants(
        &self,
        principal: &Principal,
        id: EvaluationId,
        after: Option<EvaluationId>,
        limit: i64,
    ) -> Result<Page<Permitted<Evaluation>>, Error> {
        let viewer = viewer(principal)?;
        let mut batch = Batch::new();
        let base = batch.add(access::permission(viewer, Resource::Evaluation(id)));
        let variants = batch.add(evaluations::variants(viewer, id, after, limit));
        let mut results = self.app.guarded(principal, batch).await?;
        results.take(base)?.ok_or(Error::NotFound)?;
        Ok(results.take(variants)?)
    }

    /// Makes a variant: a copy in which this is changed. It belongs to the owner of the base, and is shared as that is.
    /// A variant of a variant is one of the same base. Two round trips: what is there, and the copy.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a caller who may not change the base; [`Error::Conflict`] when it has too many.
    pub async fn create_variant(
        &self,
        principal: &Principal,
        original: EvaluationId,
        change: EvaluationChange,
    ) -> Result<Permitted<Evaluation>, Error> {
        let answer = |_: FirstRequest, evaluation| made(principal, evaluation);
        self.app
            .once(principal, evaluations::made, answer, async |attempt| {
                let viewer = viewer(principal)?;
                let Permitted { item: mut variant, .. } = self.get(principal, original).await?;
                let now = self.app.now();
                let base_id = variant.base_id.unwrap_or(original);
                variant.id = EvaluationId::new(now, self.app.random_bits()?);
                variant.base_id = Some(base_id);
                (variant.created_at, variant.updated_at) = (now, now);
                change.apply(&mut variant)?;
                let created = self.created(principal, &variant);
                let mut batch = Batch::new();
                let permission = batch.add(access::permission(viewer, Resource::Evaluation(base_id)));
                let inserted = batch.add(evaluations::insert_variant(viewer, base_id, &variant, MAX_VARIANTS));
                batch.execute(self.app.record_if_changed(principal, &created));
                let mut results = attempt.run(variant.id, batch).await?;
                // A caller who sees a variant alone learns nothing of its base.
                let permission = results.take(permission)?.ok_or(READ_ONLY)?;
                if permission < AccessLevel::Write {
                    return Err(READ_ONLY);
                }
                if !results.take(inserted)? {
                    return Err(Error::Conflict {
                        code: "variant_limit",
                        message: "This evaluation has as many variants as it can have. Delete one first.",
                    });
                }
                Ok(Permitted { item: variant, permission })
            })
            .await
    }
}

/// An evaluation that the caller made before.
fn made(principal: &Principal, evaluation: Evaluation) -> Result<Permitted<Evaluation>, Error> {
    // A variant of what is shared with a user is not their own.
    let foreign = viewer(principal)?.user_id().is_some_and(|user_id| evaluation.user_id != Some(user_id));
    let permission = if foreign { AccessLevel::Write } else { AccessLevel::Own };
    Ok(Permitted { item: evaluation, permission })
}
