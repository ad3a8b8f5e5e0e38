//! Error analysis: notes about runs that did not pass, categories of notes, fewer of these. By the operator's
//! language model if he has set one up, and else by the words. Who has a model is never answered without it: the
//! same question would have answers of two kinds.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    app::{
        App, Principal,
        datasets::viewer,
        error::Error,
        model::{Question, object_of},
    },
    domain::error_analysis::{
        Category, Consolidated, MAX_CATEGORIES, MAX_NOTE_CHARS, MAX_NOTES, Unconsolidated, categorize, consolidate,
        is_partition,
    },
};

/// What is suggested, and whether a model did that.
pub(crate) struct Suggestion<T> {
    /// Whether a model did.
    pub(crate) by_model: bool,
    /// What is suggested.
    pub(crate) items: Vec<T>,
}

/// What a model must answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<T> {
    items: Vec<T>,
}

impl App {
    /// Categories for notes, each note in one.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::JudgeUnavailable`].
    pub(crate) async fn suggest_categories(
        &self,
        by: &Principal,
        notes: &[String],
    ) -> Result<Suggestion<Category>, Error> {
        check_count("notes", notes.len(), MAX_NOTES)?;
        let is_wrong = |note: &String| note.trim().is_empty() || note.chars().count() > MAX_NOTE_CHARS;
        if let Some(at) = notes.iter().position(is_wrong) {
            let message = format!("must have 1 to {MAX_NOTE_CHARS} characters and not be blank");
            return Err(Error::invalid(&format!("notes[{at}]"), message));
        }
        viewer(by)?;
        self.guarded(by, Vec::new()).await?;
        if self.config.model.is_none() {
            return Ok(Suggestion { by_model: false, items: categorize(notes) });
        }
        let instructions = "The data are numbered notes about errors that a product made. Sort them into a few categories, \
                            so that each is about one thing to repair. Each note is in exactly one category, which says \
                            its notes by their numbers. Give each category a short name, and a description of one sentence.";
        let data = numbered(notes.iter().map(|note| json!({ "note": note })));
        let category = json!({ "name": text(), "description": text(), "notes": numbers() });
        self.suggested(instructions, data, category, |categories: &[Category]| {
            is_partition(categories.iter().map(|category| &category.notes), notes.len())
        })
        .await
    }

    /// Fewer categories, each for one or several of these.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::JudgeUnavailable`].
    pub(crate) async fn consolidate_categories(
        &self,
        by: &Principal,
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
        viewer(by)?;
        self.guarded(by, Vec::new()).await?;
        if self.config.model.is_none() {
            return Ok(Suggestion { by_model: false, items: consolidate(categories) });
        }
        let instructions = "The data are numbered categories of errors that a product made. Put those together that are \
                            about the same thing, and leave the others as they are. Each of them is in exactly one of the \
                            categories that you give, which says them by their numbers. Give each a short name, and a \
                            description of one sentence.";
        let data = numbered(categories.iter().map(|category| {
            json!({ "name": category.name, "description": category.description, "count_of_notes": category.notes.len() })
        }));
        let category = json!({ "name": text(), "description": text(), "merged": numbers() });
        self.suggested(instructions, data, category, |merged: &[Consolidated]| {
            is_partition(merged.iter().map(|category| &category.merged), categories.len())
        })
        .await
    }

    /// What the model suggests: a list of such items.
    async fn suggested<T: DeserializeOwned>(
        &self,
        instructions: &str,
        data: Value,
        item: Value,
        are_good: impl Fn(&[T]) -> bool,
    ) -> Result<Suggestion<T>, Error> {
        let items = json!({ "type": "array", "items": object_of(item) });
        let answer = object_of(json!({ "items": items }));
        let question = Question { instructions: instructions.to_owned(), data, answer };
        let answer = self.ask(&question, |answer: &Answer<T>| are_good(&answer.items)).await?;
        Ok(Suggestion { by_model: true, items: answer.items })
    }
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
