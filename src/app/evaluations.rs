//! Evaluations and their variants: made, read, changed, ended.

use serde_json::{Value, json};

use crate::{
    app::{App, Principal, datasets::viewer, error::Error, keys::Page, take},
    domain::{
        access::{Part, Resource, Standing},
        dataset::Row,
        evaluation::{Evaluation, EvaluationConfig, InputColumn},
        generate::{Agreement, SAMPLE_ROWS, generate},
        id::{DatasetId, EvaluationId},
        judge::Judge,
        key::Name,
    },
    storage::{
        access,
        audit::{self, Event},
        evaluations,
    },
};

/// The most variants of an evaluation.
const MAX_VARIANTS: i64 = 100;

/// What to set; `None` leaves as it is.
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
    /// Whether somebody has looked at it.
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
    config.check().map_err(|(field, message)| Error::invalid(&field, message))
}

impl App {
    /// Makes an evaluation.
    ///
    /// # Errors
    /// [`Error::Invalid`] for columns and a judge that do not fit together.
    pub async fn create_evaluation(
        &self,
        by: &Principal,
        name: Name,
        description: Option<String>,
        config: EvaluationConfig,
    ) -> Result<(Evaluation, Standing), Error> {
        check(&config)?;
        match self.insert_evaluation(by, name, description, config, None).await {
            Err(error) => self.evaluation_made_before(by, error).await,
            made => made,
        }
    }

    /// Makes a draft of an evaluation from what a data set holds. Two round trips: its rows, and the draft.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when the data set is there but the caller may not see it; [`Error::Invalid`] when
    /// nothing can be made of it.
    pub async fn generate_evaluation(
        &self,
        by: &Principal,
        dataset_id: DatasetId,
        name: Option<Name>,
    ) -> Result<((Evaluation, Standing), Option<Agreement>), Error> {
        let mut agreement = None;
        let made = async {
            let found = self.dataset_rows(by, dataset_id, 0, SAMPLE_ROWS).await?;
            let rows: Vec<Row> = found.rows.into_iter().map(|(_, row)| row).collect();
            let generated = generate(&found.dataset, &rows).map_err(|why| Error::invalid("dataset", why))?;
            agreement = generated.agreement;
            let name = name.unwrap_or(found.dataset.name);
            self.insert_evaluation(by, name, None, generated.config, Some(dataset_id)).await
        }
        .await;
        match made {
            Err(error) => Ok((self.evaluation_made_before(by, error).await?, agreement)),
            Ok(made) => Ok((made, agreement)),
        }
    }

    /// Makes an evaluation, which is a draft if it was generated from a data set.
    async fn insert_evaluation(
        &self,
        by: &Principal,
        name: Name,
        description: Option<String>,
        config: EvaluationConfig,
        dataset_id: Option<DatasetId>,
    ) -> Result<(Evaluation, Standing), Error> {
        let viewer = viewer(by)?;
        let now = self.now();
        let evaluation = Evaluation {
            id: EvaluationId::new(now, self.random_bits()?),
            organization_id: by.snapshot.organization_id,
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
        let details = json!({ "name": evaluation.name, "dataset_id": dataset_id });
        let created = self.evaluation_event(by, evaluation.id, "evaluation.created", details);
        let created = audit::record(&by.actor(), &created, self.config.audit_retention_ms);
        let statements = vec![evaluations::insert(&evaluation), created];
        self.guarded_once(by, None, &evaluation.id.to_string(), statements).await?;
        Ok((evaluation, Standing::Own))
    }

    async fn evaluation_made_before(&self, by: &Principal, error: Error) -> Result<(Evaluation, Standing), Error> {
        let (first, mut results) = self.made_before(by, error, &[evaluations::made]).await?;
        let evaluation = evaluations::read(take(&mut results, 0))?.pop().ok_or(Error::Spent(first.subject))?.0;
        // A variant of what is shared with somebody is not his own.
        let others = viewer(by)?.user_id().is_some_and(|user_id| evaluation.user_id != Some(user_id));
        Ok((evaluation, if others { Standing::Write } else { Standing::Own }))
    }

    fn evaluation_event(&self, by: &Principal, id: EvaluationId, action: &'static str, details: Value) -> Event {
        Event::new(by.snapshot.organization_id, id, action, details, self.now())
    }

    /// A part of the evaluations that the caller may see, the newest first; without variants if `base_only`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_evaluations(
        &self,
        by: &Principal,
        base_only: bool,
        part: Part<EvaluationId>,
    ) -> Result<Page<(Evaluation, Standing)>, Error> {
        let one_more = Part { limit: part.limit + 1, ..part };
        let mut results = self.guarded(by, vec![evaluations::list(viewer(by)?, base_only, one_more)]).await?;
        Ok(Page::of(evaluations::read(take(&mut results, 0))?, part.limit))
    }

    /// An evaluation.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn evaluation(&self, by: &Principal, id: EvaluationId) -> Result<(Evaluation, Standing), Error> {
        let mut results = self.guarded(by, vec![evaluations::get(viewer(by)?, id)]).await?;
        evaluations::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Changes an evaluation. Two round trips: what is there, and what it becomes.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else was faster.
    pub async fn change_evaluation(
        &self,
        by: &Principal,
        id: EvaluationId,
        change: EvaluationChange,
    ) -> Result<(Evaluation, Standing), Error> {
        let (mut evaluation, standing) = self.evaluation(by, id).await?;
        if standing < Standing::Write {
            return Err(Error::ReadOnly);
        }
        change.apply(&mut evaluation)?;
        let update = evaluations::update(viewer(by)?, &evaluation, self.now());
        let mut results = self.guarded(by, vec![update]).await?;
        evaluations::read(take(&mut results, 0))?.pop().ok_or(Error::Conflict {
            code: "conflict",
            message: "Someone else changed this evaluation at the same time. Read it again, then decide.",
        })
    }

    /// Deletes an evaluation with its variants. What was deployed of it runs on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ReadOnly`].
    pub async fn delete_evaluation(&self, by: &Principal, id: EvaluationId) -> Result<(), Error> {
        let viewer = viewer(by)?;
        let deleted = self.evaluation_event(by, id, "evaluation.deleted", json!({}));
        let statements = vec![
            access::standing_of(viewer, Resource::Evaluation(id)),
            evaluations::delete(viewer, id),
            self.record_if_changed(by, &deleted),
        ];
        let mut results = self.guarded(by, statements).await?;
        let standing = access::read_standing(take(&mut results, 0))?.ok_or(Error::NotFound)?;
        if standing < Standing::Write { Err(Error::ReadOnly) } else { Ok(()) }
    }

    /// A page of at most `limit` variants of an evaluation, the newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn list_variants(
        &self,
        by: &Principal,
        id: EvaluationId,
        after: Option<EvaluationId>,
        limit: i64,
    ) -> Result<Page<(Evaluation, Standing)>, Error> {
        let viewer = viewer(by)?;
        let base = access::standing_of(viewer, Resource::Evaluation(id));
        let mut results = self.guarded(by, vec![base, evaluations::variants(viewer, id, after, limit + 1)]).await?;
        access::read_standing(take(&mut results, 0))?.ok_or(Error::NotFound)?;
        Ok(Page::of(evaluations::read(take(&mut results, 1))?, limit))
    }

    /// Makes a variant: a copy in which this is changed. It is whose the base is, and shared with whom that is.
    /// A variant of a variant is one of the same base. Two round trips: what is there, and the copy.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] for whoever may not change the base; [`Error::Conflict`] when it has too many.
    pub async fn create_variant(
        &self,
        by: &Principal,
        of: EvaluationId,
        change: EvaluationChange,
    ) -> Result<(Evaluation, Standing), Error> {
        match self.insert_variant(by, of, change).await {
            Err(error) if error.withdrawn() => Err(error),
            Err(error) => self.evaluation_made_before(by, error).await,
            made => made,
        }
    }

    async fn insert_variant(
        &self,
        by: &Principal,
        of: EvaluationId,
        change: EvaluationChange,
    ) -> Result<(Evaluation, Standing), Error> {
        let viewer = viewer(by)?;
        let (mut variant, _) = self.evaluation(by, of).await?;
        let now = self.now();
        let base_id = variant.base_id.unwrap_or(of);
        variant.id = EvaluationId::new(now, self.random_bits()?);
        variant.base_id = Some(base_id);
        (variant.created_at, variant.updated_at) = (now, now);
        change.apply(&mut variant)?;
        let details = json!({ "name": variant.name, "base_id": base_id });
        let created = self.evaluation_event(by, variant.id, "evaluation.created", details);
        let statements = vec![
            access::standing_of(viewer, Resource::Evaluation(base_id)),
            evaluations::insert_variant(viewer, base_id, &variant, MAX_VARIANTS),
            self.record_if_changed(by, &created),
        ];
        let mut results = self.guarded_once(by, None, &variant.id.to_string(), statements).await?;
        // Who sees a variant alone learns nothing of its base.
        let standing = access::read_standing(take(&mut results, 0))?.ok_or(Error::ReadOnly)?;
        if standing < Standing::Write {
            return Err(Error::ReadOnly);
        }
        if take(&mut results, 1).is_empty() {
            return Err(Error::Conflict {
                code: "variant_limit",
                message: "This evaluation has as many variants as it can have. Delete one first.",
            });
        }
        Ok((variant, standing))
    }
}
