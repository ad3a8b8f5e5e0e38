//! Evaluations: which columns something has that is to be judged, and how it is judged.

use std::collections::HashSet;

use bitting_keys::domain::{
    id::{OrganizationId, ProjectId, UserId},
    json,
    key::Name,
    time::UnixMillis,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    dataset::{DatasetRow, MAX_COLUMNS},
    id::{DatasetId, EvaluationId},
    judge::{InvalidField, Judge},
};

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Evaluation {
    /// Its id.
    pub id: EvaluationId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The user whose it is.
    pub user_id: Option<UserId>,
    /// The project whose it is.
    pub project_id: Option<ProjectId>,
    /// The evaluation of which it is a variant.
    pub base_id: Option<EvaluationId>,
    /// The data set that it was generated from.
    pub dataset_id: Option<DatasetId>,
    /// Its name.
    pub name: Name,
    /// A person's note about it.
    pub description: Option<String>,
    /// Its columns and its judge.
    #[serde(deserialize_with = "json::text")]
    pub config: EvaluationConfig,
    /// True if it was generated and is not approved yet. A draft cannot be deployed.
    #[serde(deserialize_with = "json::flag")]
    pub draft: bool,
    /// The time at which it was made.
    pub created_at: UnixMillis,
    /// The time of its last change.
    pub updated_at: UnixMillis,
}

/// The columns and the judge of an evaluation. A live evaluation keeps its own, as they were when it was deployed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationConfig {
    /// The columns of what is judged, in their order.
    pub columns: Vec<InputColumn>,
    /// The judge.
    pub judge: Judge,
}

/// A column of what is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputColumn {
    /// Its name, which no other column of the evaluation has.
    pub name: Name,
    /// The type of its values.
    #[serde(rename = "type", default)]
    pub value_type: ValueType,
    /// True if it must have a value.
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

/// The type of a column's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// Any JSON value.
    #[default]
    Any,
    /// A text.
    String,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// An object.
    Object,
}

impl ValueType {
    /// The type of a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Any,
            Value::String(_) => Self::String,
            Value::Number(_) => Self::Number,
            Value::Bool(_) => Self::Boolean,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }

    fn has(self, value: &Value) -> bool {
        self == Self::Any || self == Self::of(value)
    }

    fn described(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

impl EvaluationConfig {
    /// Checks that its parts fit each other.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidField> {
        if self.columns.is_empty() || self.columns.len() > MAX_COLUMNS {
            return Err(InvalidField::new("columns", format!("must be 1 to {MAX_COLUMNS} columns")));
        }
        let mut names = HashSet::new();
        for (index, column) in self.columns.iter().enumerate() {
            if !names.insert(column.name.as_str()) {
                let message = format!("there are two columns `{}`", column.name.as_str());
                return Err(InvalidField::new(format!("columns[{index}].name"), message));
            }
        }
        for (field, name) in self.judge.columns() {
            if !names.contains(name.as_str()) {
                return Err(InvalidField::new(
                    format!("judge.{field}"),
                    format!("there is no column `{}`", name.as_str()),
                ));
            }
        }
        self.judge
            .check()
            .map_err(|InvalidField { field, message }| InvalidField::new(format!("judge.{field}"), message))
    }

    /// Checks that these values fit the columns.
    ///
    /// # Errors
    /// The first value that does not fit.
    pub fn check_inputs(&self, inputs: &DatasetRow) -> Result<(), InvalidField> {
        let invalid = |name: &str, message: &str| InvalidField::new(format!("inputs.{name}"), message);
        let column_of = |name: &str| self.columns.iter().find(|column| column.name.as_str() == name);
        for (name, value) in &inputs.0 {
            let column = column_of(name).ok_or_else(|| invalid(name, "the evaluation has no such column"))?;
            let there = !value.is_null();
            if there && !column.value_type.has(value) {
                return Err(invalid(name, &format!("must be {}", column.value_type.described())));
            }
        }
        match self.columns.iter().find(|column| column.required && inputs.get(&column.name).is_none()) {
            Some(column) => Err(invalid(column.name.as_str(), "is required")),
            None => Ok(()),
        }
    }
}
