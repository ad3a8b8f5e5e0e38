//! Judges: what says whether something is good, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{dataset::Row, key::Name};

/// How something is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Judge {
    /// It passes if the value of a column is this one.
    ExactMatch {
        /// The name of the column.
        column: Name,
        /// The value.
        expected: Value,
    },
    /// A language model decides.
    Model {
        /// What it is asked to look at.
        instructions: String,
    },
}

/// What a judge says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judgment {
    /// The verdict: `pass` or `fail`, or one of those that a model was given to choose from.
    pub verdict: String,
    /// Whether that is a good one.
    pub passed: bool,
    /// How good it is, from 0 to 1, if the judge measures that.
    pub score: Option<f64>,
    /// Why, for people.
    pub explanation: String,
}

impl Judge {
    /// The names of the columns that it reads.
    pub fn columns(&self) -> Vec<&Name> {
        match self {
            Self::ExactMatch { column, .. } => vec![column],
            Self::Model { .. } => Vec::new(),
        }
    }

    /// What a rule says of these values; `None` for a judge that is no rule.
    pub fn by_rule(&self, inputs: &Row) -> Option<Judgment> {
        match self {
            Self::ExactMatch { column, expected } => {
                let value = inputs.0.iter().find(|(name, _)| name == column.as_str()).map(|(_, value)| value);
                let passed = value == Some(expected);
                let explanation =
                    format!("`{}` is {}what was expected.", column.as_str(), if passed { "" } else { "not " });
                let verdict = if passed { "pass" } else { "fail" }.to_owned();
                Some(Judgment { verdict, passed, score: None, explanation })
            }
            Self::Model { .. } => None,
        }
    }
}
