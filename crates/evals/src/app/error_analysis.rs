//! Error analysis: notes about runs that did not pass, categories of notes, fewer of these. By the operator's
//! language model if there is one, and else by the words. Where there is a model nothing is answered without it: the
//! same question would have answers of two kinds.

use std::collections::HashMap;

use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::id::OrganizationId,
    storage::batch::Batch,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    app::{
        model::{INSUFFICIENT_CREDITS, LanguageModel, Question, Unanswered, object_of},
        settings::Settings,
        shares::viewer,
    },
    domain::{
        error_analysis::{
            Category, Consolidated, MAX_CATEGORIES, MAX_NOTE_CHARS, MAX_NOTES, MAX_RUNS, Unconsolidated, categorize,
            consolidate, is_partition, note,
        },
        id::RunId,
        run::Run,
    },
    storage::runs,
};

/// The number of characters of a run's inputs that a model is shown.
const SHOWN_INPUT_CHARS: usize = 2_000;

/// The task of writing notes about runs.
const NOTES: &str = "\
     The data are numbered runs: what a product was given and did (`inputs`, which may be cut off), and what a \
     judge said of it, none of it good. Write one note about each run: in one or two sentences what the product \
     did wrong, so that runs with the same error have similar notes.";

/// The task of sorting notes into categories.
const CATEGORIES: &str = "\
     The data are numbered notes about errors that a product made. Sort them into a few categories, so that each \
     is about one thing to repair. Each note is in exactly one category, which says its notes by their numbers. \
     Give each category a short name, and a description of one sentence.";

/// The task of putting categories together.
const CONSOLIDATION: &str = "\
     The data are numbered categories of errors that a product made. Put those together that are about the same \
     thing, and leave the others as they are. Each of them is in exactly one of the categories that you give, \
     which says them by their numbers. Give each a short name, and a description of one sentence.";

/// Suggestions, and whether a model made them.
pub(crate) struct Suggestion<T> {
    /// True if a model did.
    pub(crate) by_model: bool,
    /// The suggestions.
    pub items: Vec<T>,
}

/// The answer of a model.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<T> {
    items: Vec<T>,
}

/// A note about a run, which has this number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    number: usize,
    note: String,
}

/// The use cases of error analysis.
pub struct ErrorAnalysis<'a> {
    pub(crate) app: &'a App,
}

impl<'a> ErrorAnalysis<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl ErrorAnalysis<'_> {
    /// A note about each of these runs, none of which passed.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when one is there but the caller may not see it; [`Error::Invalid`] for one that
    /// passed; [`Error::PaymentRequired`] when a model is to be asked and no credit is left; [`Error::Unready`].
    pub(crate) async fn suggest_notes(
        &self,
        principal: &Principal,
        ids: Vec<RunId>,
    ) -> Result<Suggestion<(RunId, String)>, Error> {
        check_count("run_ids", ids.len(), MAX_RUNS)?;
        let found = self.app.query(principal, runs::some(viewer(principal)?, &ids)).await?;
        let found: HashMap<RunId, Run> = found.into_iter().map(|run| (run.id, run)).collect();
        let mut failed = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            let run = found.get(id).ok_or(Error::NotFound)?;
            match &run.judgment {
                Some(judgment) if !judgment.passed => failed.push((&run.inputs, judgment)),
                _ => return Err(Error::invalid(&format!("run_ids[{at}]"), "must be a run that did not pass")),
            }
        }
        if Settings::of(self.app)?.model.is_none() {
            let notes = ids.into_iter().zip(failed.iter().map(|(_, judgment)| note(judgment)));
            return Ok(Suggestion { by_model: false, items: notes.collect() });
        }
        let data = numbered(failed.iter().map(|(inputs, judgment)| {
            let inputs: String = json!(inputs).to_string().chars().take(SHOWN_INPUT_CHARS).collect();
            json!({ "inputs": inputs, "verdict": judgment.verdict, "explanation": judgment.explanation })
        }));
        let item = json!({ "number": { "type": "integer" }, "note": text() });
        let suggested = self
            .suggested(principal, NOTES, data, item, |notes: &[Note]| {
                let numbers: Vec<usize> = notes.iter().map(|note| note.number).collect();
                is_partition([&numbers].into_iter(), ids.len()) && notes.iter().all(|note| is_note(&note.note))
            })
            .await?;
        let mut items: Vec<Note> = suggested.items;
        items.sort_by_key(|note| note.number);
        let notes = ids.into_iter().zip(items.into_iter().map(|note| note.note));
        Ok(Suggestion { by_model: true, items: notes.collect() })
    }

    /// Categories for notes, each note in one.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::PaymentRequired`] when a model is to be asked and no credit is left, or
    /// [`Error::Unready`].
    pub(crate) async fn suggest_categories(
        &self,
        principal: &Principal,
        notes: &[String],
    ) -> Result<Suggestion<Category>, Error> {
        check_count("notes", notes.len(), MAX_NOTES)?;
        if let Some(at) = notes.iter().position(|note| !is_note(note)) {
            let message = format!("must have 1 to {MAX_NOTE_CHARS} characters and not be blank");
            return Err(Error::invalid(&format!("notes[{at}]"), message));
        }
        viewer(principal)?;
        if Settings::of(self.app)?.model.is_none() {
            self.app.guarded(principal, Batch::new()).await?;
            return Ok(Suggestion { by_model: false, items: categorize(notes) });
        }
        let data = numbered(notes.iter().map(|note| json!({ "note": note })));
        let category = json!({ "name": text(), "description": text(), "notes": numbers() });
        self.suggested(principal, CATEGORIES, data, category, |categories: &[Category]| {
            is_partition(categories.iter().map(|category| &category.notes), notes.len())
        })
        .await
    }

    /// Fewer categories, each for one or several of these.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::PaymentRequired`] when a model is to be asked and no credit is left, or
    /// [`Error::Unready`].
    pub(crate) async fn consolidate_categories(
        &self,
        principal: &Principal,
        categories: &[Unconsolidated],
    ) -> Result<Suggestion<Consolidated>, Error> {
        check_count("categories", categories.len(), MAX_CATEGORIES)?;
        for (at, category) in categories.iter().enumerate() {
            if category.description.chars().count() > MAX_NOTE_CHARS {
                let message = format!("must have at most {MAX_NOTE_CHARS} characters");
                return Err(Error::invalid(&format!("categories[{at}].description"), message));
            }
            if category.notes.len() > MAX_NOTES {
                let message = format!("must be at most {MAX_NOTES} notes");
                return Err(Error::invalid(&format!("categories[{at}].notes"), message));
            }
        }
        viewer(principal)?;
        if Settings::of(self.app)?.model.is_none() {
            self.app.guarded(principal, Batch::new()).await?;
            return Ok(Suggestion { by_model: false, items: consolidate(categories) });
        }
        let data = numbered(categories.iter().map(|category| {
            let count = category.notes.len();
            json!({ "name": category.name, "description": category.description, "count_of_notes": count })
        }));
        let category = json!({ "name": text(), "description": text(), "merged": numbers() });
        self.suggested(principal, CONSOLIDATION, data, category, |merged: &[Consolidated]| {
            is_partition(merged.iter().map(|category| &category.merged), categories.len())
        })
        .await
    }

    /// The suggestions of the model: a list of such items, for one credit. It is taken before the model is asked, and
    /// goes back if no answer has arrived.
    async fn suggested<T: DeserializeOwned>(
        &self,
        principal: &Principal,
        instructions: &str,
        data: Value,
        item: Value,
        are_good: impl Fn(&[T]) -> bool,
    ) -> Result<Suggestion<T>, Error> {
        let items = json!({ "type": "array", "items": object_of(&item) });
        let answer = object_of(&json!({ "items": items }));
        let question = Question { instructions: instructions.to_owned(), data, answer };
        let organization_id = principal.snapshot.organization_id;
        self.app.count_question(organization_id).await?;
        let mut batch = Batch::new();
        let paid = batch.add(runs::charge_question(organization_id));
        if !self.app.guarded(principal, batch).await?.take(paid)? {
            return Err(INSUFFICIENT_CREDITS);
        }
        match LanguageModel::new(self.app).ask(&question, |answer: &Answer<T>| are_good(&answer.items)).await {
            Ok(answer) => Ok(Suggestion { by_model: true, items: answer.items }),
            Err(Unanswered { error, answered }) => {
                if !answered {
                    self.give_back(organization_id).await;
                }
                Err(error)
            }
        }
    }

    /// Gives back a credit. The model has failed, and this must not hide it, so a failure here is for the log.
    async fn give_back(&self, organization_id: OrganizationId) {
        let mut batch = Batch::new();
        batch.execute(runs::give_back(organization_id));
        if let Err(error) = batch.run(&*self.app.database).await {
            log::warn!("a credit of {organization_id} was not given back: {error:?}");
        }
    }
}

fn is_note(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_NOTE_CHARS
}

fn check_count(field: &str, count: usize, most: usize) -> Result<(), Error> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("must be 1 to {most} {field}")))
}

/// A list for the model, each with its number.
fn numbered(items: impl Iterator<Item = Value>) -> Value {
    items.enumerate().map(|(number, item)| json!({ "number": number, "item": item })).collect()
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn numbers() -> Value {
    json!({ "type": "array", "items": { "type": "integer" } })
}
