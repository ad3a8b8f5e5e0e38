//! Error analysis: `/api/error-analysis`.

use bitting_http::{
    call::Call,
    problem::Problem,
    typed::{InBody, Json, NamesInBody, Whole},
};
use bitting_keys::{app::Principal, domain::key::Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::error_analysis::ErrorAnalysis,
    domain::{
        error_analysis::{Category, Consolidated, MAX_CATEGORIES, MAX_NOTE_CHARS, MAX_NOTES, MAX_RUNS, Unconsolidated},
        id::RunId,
    },
};

/// The last place that a note can have: the largest whole number that every reader of JSON holds.
const MAX_PLACE: i64 = 9_007_199_254_740_991;

/// The source of a suggestion.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    /// The operator's language model.
    Model,
    /// The words that texts have in common.
    Deterministic,
}

impl Method {
    fn of(by_model: bool) -> Self {
        if by_model { Self::Model } else { Self::Deterministic }
    }
}

/// Runs to note something about.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RunsToNote")]
pub(crate) struct RunsBody {
    /// The runs, none of which passed.
    #[schemars(length(min = 1, max = MAX_RUNS))]
    run_ids: Vec<RunId>,
}

/// Suggested notes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SuggestedNotes")]
pub(crate) struct SuggestedNotesBody {
    /// The source of the suggestions.
    method: Method,
    /// A note about each run, in the order in which they were sent.
    notes: Vec<NoteBody>,
}

/// A note about a run.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SuggestedNote")]
pub(crate) struct NoteBody {
    /// The run.
    run_id: RunId,
    /// The error, in a few words.
    note: String,
}

/// Suggests a note on the error of each run that did not pass.
pub(crate) async fn suggest_notes(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(RunsBody { run_ids }), NamesInBody): (InBody<RunsBody>, NamesInBody),
) -> Result<Json<SuggestedNotesBody>, Problem> {
    let suggested = ErrorAnalysis::new(call.app).suggest_notes(principal, run_ids).await?;
    let notes = suggested.items.into_iter().map(|(run_id, note)| NoteBody { run_id, note }).collect();
    Ok(Json(SuggestedNotesBody { method: Method::of(suggested.by_model), notes }))
}

/// Notes to be sorted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NotesToSort")]
pub(crate) struct NotesBody {
    /// The notes; none is blank.
    #[schemars(length(min = 1, max = MAX_NOTES), inner(length(min = 1, max = MAX_NOTE_CHARS), regex(pattern = r"\S")))]
    notes: Vec<String>,
}

/// Suggested categories.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SuggestedCategories")]
pub(crate) struct CategoriesBody {
    /// The source of the suggestions.
    method: Method,
    /// The categories; each note is in one.
    categories: Vec<Category>,
}

/// Sorts notes about errors into categories.
pub(crate) async fn suggest_categories(
    call: &Call<'_>,
    principal: &Principal,
    InBody(NotesBody { notes }): InBody<NotesBody>,
) -> Result<Json<CategoriesBody>, Problem> {
    let suggested = ErrorAnalysis::new(call.app).suggest_categories(principal, &notes).await?;
    Ok(Json(CategoriesBody { method: Method::of(suggested.by_model), categories: suggested.items }))
}

/// A category to be consolidated.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CategoryToConsolidate")]
struct UnconsolidatedBody {
    /// Its name.
    name: Name,
    /// A description of the category.
    #[serde(default)]
    #[schemars(length(max = MAX_NOTE_CHARS))]
    description: String,
    /// The notes that are in it; of categories that come together the one with most gives the name.
    #[serde(default)]
    #[schemars(length(max = MAX_NOTES))]
    notes: Vec<Whole<0, MAX_PLACE>>,
}

/// Categories to be consolidated.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CategoriesToConsolidate")]
pub(crate) struct ConsolidateBody {
    /// The categories.
    #[schemars(length(min = 1, max = MAX_CATEGORIES))]
    categories: Vec<UnconsolidatedBody>,
}

/// Consolidated categories.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConsolidatedCategories")]
pub(crate) struct ConsolidatedBody {
    /// The source of the suggestions.
    method: Method,
    /// The categories; each that was sent is in one.
    categories: Vec<Consolidated>,
}

/// Merges categories that mean the same.
pub(crate) async fn consolidate_categories(
    call: &Call<'_>,
    principal: &Principal,
    InBody(ConsolidateBody { categories }): InBody<ConsolidateBody>,
) -> Result<Json<ConsolidatedBody>, Problem> {
    let categories: Vec<Unconsolidated> = categories
        .into_iter()
        .map(|UnconsolidatedBody { name, description, notes }| {
            let notes = notes.into_iter().map(|Whole(place)| place).collect();
            Unconsolidated { name, description, notes }
        })
        .collect();
    let suggested = ErrorAnalysis::new(call.app).consolidate_categories(principal, &categories).await?;
    Ok(Json(ConsolidatedBody { method: Method::of(suggested.by_model), categories: suggested.items }))
}
