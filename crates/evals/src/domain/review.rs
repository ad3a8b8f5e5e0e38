//! The review queue: runs that people look at, their verdicts, and the rows that these become.

use bitting_keys::domain::{
    id::{KeyId, UserId},
    key::Name,
    time::UnixMillis,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    dataset::{Column, ColumnRole, Columns, DatasetRow},
    id::{DatasetId, LiveEvaluationId, ReviewId, RunId},
};

/// A run that people look at.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewItem {
    /// Its id.
    pub id: ReviewId,
    /// The run. It is in the queue once.
    pub run_id: RunId,
    /// The live evaluation of the run.
    pub live_evaluation_id: LiveEvaluationId,
    /// Its state.
    pub state: ReviewState,
    /// The reason why it was flagged.
    pub reason: Option<String>,
    /// A person's verdict.
    pub verdict: Option<Name>,
    /// True if the verdict is a passing one; `None` if the person did not tell.
    pub passed: Option<bool>,
    /// The reasons for the verdict, or for the rejection.
    pub notes: Option<String>,
    /// The data set that it was promoted into, and the row there.
    pub row: Option<(DatasetId, i64)>,
    /// The act of flagging it.
    pub flagged: Attribution,
    /// The act of judging or rejecting it.
    pub decided: Option<Attribution>,
    /// The act of promoting it.
    pub promoted: Option<Attribution>,
}

/// A choice of items.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReviewFilter {
    /// The state of the items.
    pub state: Option<ReviewState>,
    /// The live evaluation of the items.
    pub live_evaluation_id: Option<LiveEvaluationId>,
}

/// The state of a run in the review queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// It was flagged.
    Open,
    /// A person has judged it.
    Judged,
    /// A person has found that there is nothing to judge.
    Rejected,
    /// It was judged, and has become a row of a data set.
    Promoted,
}

impl ReviewState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Open, Self::Judged, Self::Rejected, Self::Promoted];

    /// The state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Judged => "judged",
            Self::Rejected => "rejected",
            Self::Promoted => "promoted",
        }
    }
}

/// The author and the time of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribution {
    /// The time.
    pub at: UnixMillis,
    /// The key that did it.
    pub key_id: KeyId,
    /// The user as whom it acted.
    pub user_id: Option<UserId>,
}

impl ReviewItem {
    /// The row that it becomes, judged, in a data set with these columns: what was judged under the same names,
    /// the verdict in the first column that is for verdicts, the notes in the first that is for notes.
    ///
    /// # Errors
    /// The column that is missing, for people.
    pub fn to_row(&self, inputs: DatasetRow, columns: &Columns) -> Result<DatasetRow, String> {
        let of_role = |role: ColumnRole, name: &str| {
            let column = columns.iter().find(|column| column.role == role);
            column.ok_or_else(|| format!("the data set has no column of the role `{name}`"))
        };
        let value = |text: Option<&str>| text.map(|text| Value::String(text.to_owned()));
        let said = [
            (value(self.verdict.as_ref().map(Name::as_str)), ColumnRole::Judgment, "judgment"),
            (value(self.notes.as_deref()), ColumnRole::Notes, "notes"),
        ];
        let mut row: Vec<(String, Value)> = Vec::new();
        for (name, value) in inputs.0.into_iter().filter(|(_, value)| !value.is_null()) {
            let takes = |column: &Column| ![ColumnRole::Judgment, ColumnRole::Notes].contains(&column.role);
            if !columns.named(&name).is_some_and(takes) {
                return Err(format!("the data set has no column `{name}` for what was judged"));
            }
            row.push((name, value));
        }
        for (value, role, name) in said {
            if let Some(value) = value {
                row.push((of_role(role, name)?.name.as_str().to_owned(), value));
            }
        }
        Ok(DatasetRow(row))
    }
}
