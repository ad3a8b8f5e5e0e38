//! Data sets: rows of named columns, and what each column is for.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use bitting_keys::{
    domain::{
        id::{OrganizationId, ProjectId, UserId},
        json::{self, MAX_DEPTH, depth},
        key::Name,
        time::UnixMillis,
    },
    json_schema,
};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::Value;

use crate::domain::id::DatasetId;

/// The most columns of a data set.
pub const MAX_COLUMNS: usize = 200;
/// The most rows of a data set.
pub const MAX_ROWS: i64 = 1_000_000;
/// The most bytes of one row, as JSON.
pub const MAX_ROW_BYTES: usize = 64 * 1024;

/// A data set, without its rows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Dataset {
    /// Its id.
    pub id: DatasetId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its owner; `None`: its project, or the organization.
    pub user_id: Option<UserId>,
    /// Its project.
    pub project_id: Option<ProjectId>,
    /// Its name.
    pub name: Name,
    /// A person's note about it.
    pub description: Option<String>,
    /// Its columns, in their order.
    #[serde(deserialize_with = "json::text")]
    pub columns: Columns,
    /// The judgments that people give about its rows.
    #[serde(deserialize_with = "json::text")]
    pub judgments: Vec<JudgmentConfig>,
    /// The number of its rows.
    pub row_count: i64,
    /// The time at which it was made.
    pub created_at: UnixMillis,
    /// The time of its last change.
    pub updated_at: UnixMillis,
}

/// The use of a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnRole {
    /// A judge is shown it.
    #[default]
    Input,
    /// It holds the right answer.
    Expected,
    /// A person's verdict.
    Judgment,
    /// A person's reasons.
    Notes,
    /// Nothing.
    Ignored,
}

/// A column. Rows hold its values under its id, so renaming it touches no row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its id, which no other column of the data set had before.
    pub id: u32,
    /// Its name, which no other column of the data set has.
    pub name: Name,
    /// Its use.
    pub role: ColumnRole,
}

/// A row: values by the names of their columns, in their order. What is null, or not there, has no value.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetRow(pub Vec<(String, Value)>);

json_schema!(DatasetRow, "Row", {
    "type": "object",
    "description": "Values by the names of their columns.",
    "maxProperties": MAX_COLUMNS,
    "additionalProperties": true,
});

impl DatasetRow {
    /// The value of a column, if it has one.
    pub fn get(&self, column: &Name) -> Option<&Value> {
        self.0.iter().find(|(name, value)| name == column.as_str() && !value.is_null()).map(|(_, value)| value)
    }
}

impl Serialize for DatasetRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for DatasetRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = DatasetRow;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of column names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DatasetRow, A::Error> {
                let mut row = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if row.iter().any(|(other, _)| *other == name) {
                        return Err(de::Error::custom(format!("column {name:?} appears twice")));
                    }
                    if row.len() >= MAX_COLUMNS {
                        return Err(de::Error::custom(format!("a data set has at most {MAX_COLUMNS} columns")));
                    }
                    row.push((name, value));
                }
                // There is room for four columns from the start, which adds up in half a million short rows.
                row.shrink_to_fit();
                Ok(DatasetRow(row))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// A row as it is stored: values by the ids of their columns.
pub type Cells = BTreeMap<u32, Value>;

/// The columns of a data set, in their order, and the id that the next one gets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Columns {
    list: Vec<Column>,
    next_id: u32,
}

impl Columns {
    /// The columns, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Column> {
        self.list.iter()
    }

    /// The column with this name.
    pub fn named(&self, name: &str) -> Option<&Column> {
        self.list.iter().find(|column| column.name.as_str() == name)
    }

    /// Adds a column at the end.
    ///
    /// # Errors
    /// The fault, for people: there is one with this name, or there are too many.
    pub fn add(&mut self, name: Name, role: ColumnRole) -> Result<u32, String> {
        if self.named(name.as_str()).is_some() {
            return Err(format!("there is a column `{}` already", name.as_str()));
        }
        if self.list.len() >= MAX_COLUMNS {
            return Err(format!("a data set has at most {MAX_COLUMNS} columns"));
        }
        let id = self.next_id;
        self.next_id += 1;
        self.list.push(Column { id, name, role });
        Ok(id)
    }

    /// Changes the name or the role of the column with this name.
    ///
    /// # Errors
    /// The fault, for people.
    pub fn change(&mut self, name: &str, new_name: Option<Name>, role: Option<ColumnRole>) -> Result<(), String> {
        if let Some(new_name) = &new_name
            && new_name.as_str() != name
            && self.named(new_name.as_str()).is_some()
        {
            return Err(format!("there is a column `{}` already", new_name.as_str()));
        }
        let column = self.list.iter_mut().find(|column| column.name.as_str() == name);
        let column = column.ok_or_else(|| format!("there is no column `{name}`"))?;
        column.name = new_name.unwrap_or_else(|| column.name.clone());
        column.role = role.unwrap_or(column.role);
        Ok(())
    }

    /// Removes the column with this name; its values are not told any more. Whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.list.len();
        self.list.retain(|column| column.name.as_str() != name);
        self.list.len() < before
    }

    /// A row as it is stored; with `grow`, columns that are not there yet are added.
    ///
    /// # Errors
    /// The fault, for people.
    pub fn to_cells(&mut self, row: DatasetRow, grow: bool) -> Result<Cells, String> {
        let mut cells = Cells::new();
        for (name, value) in row.0 {
            let id = match self.named(&name) {
                Some(column) => column.id,
                None if grow => {
                    let name = Name::try_from(name.clone()).map_err(|why| format!("column {name:?}: {why}"))?;
                    self.add(name, ColumnRole::default())?
                }
                None => return Err(format!("there is no column {name:?}")),
            };
            if depth(&value) > MAX_DEPTH {
                return Err(format!("column {name:?}: is nested more than {MAX_DEPTH} levels deep"));
            }
            cells.insert(id, value);
        }
        Ok(cells)
    }

    /// A stored row by the names of its columns: every column is there, null where it has no value.
    pub fn to_row(&self, mut cells: Cells) -> DatasetRow {
        let value = |column: &Column| (column.name.as_str().to_owned(), cells.remove(&column.id).unwrap_or_default());
        DatasetRow(self.list.iter().map(value).collect())
    }
}

/// A judgment that people give about the rows of a data set, and the column that holds the verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgmentConfig {
    /// Its name, which no other one of the data set has.
    pub name: Name,
    /// The question to the person who judges.
    #[serde(default)]
    pub question: Option<String>,
    /// The verdicts to choose from; none: any text.
    #[serde(default)]
    pub verdicts: Vec<Name>,
    /// The name of the column that holds the verdicts.
    pub column: Name,
}

/// Checks that these judgments fit these columns.
///
/// # Errors
/// The place of the first that is wrong, and the reason.
pub fn check_judgments(judgments: &[JudgmentConfig], columns: &Columns) -> Result<(), (usize, String)> {
    let mut names = HashSet::new();
    for (index, judgment) in judgments.iter().enumerate() {
        if !names.insert(judgment.name.as_str()) {
            return Err((index, format!("there are two with the name `{}`", judgment.name.as_str())));
        }
        if columns.named(judgment.column.as_str()).is_none() {
            return Err((index, format!("there is no column `{}`", judgment.column.as_str())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ColumnRole, Columns, DatasetRow, Name};

    fn name(text: &str) -> Name {
        Name::try_from(text.to_owned()).unwrap()
    }

    fn row(value: serde_json::Value) -> DatasetRow {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn renaming_a_column_keeps_its_values_and_removing_it_hides_them() {
        let mut columns = Columns::default();
        let cells = columns.to_cells(row(json!({ "b": 1, "a": "x" })), true).unwrap();
        columns.change("a", Some(name("c")), Some(ColumnRole::Notes)).unwrap();
        assert_eq!(json!(columns.to_row(cells.clone())), json!({ "b": 1, "c": "x" }));
        assert!(columns.remove("b"));
        assert!(!columns.remove("b"));
        columns.add(name("b"), ColumnRole::Input).unwrap();
        assert_eq!(json!(columns.to_row(cells)), json!({ "c": "x", "b": null }), "a new column is another");
    }

    #[test]
    fn names_of_columns_are_unique() {
        let mut columns = Columns::default();
        columns.add(name("a"), ColumnRole::Input).unwrap();
        columns.add(name("b"), ColumnRole::Input).unwrap();
        assert!(columns.add(name("a"), ColumnRole::Input).is_err());
        assert!(columns.change("a", Some(name("b")), None).is_err());
        assert!(columns.change("a", Some(name("a")), None).is_ok());
        assert!(columns.change("z", None, None).is_err());
        assert!(columns.to_cells(row(json!({ "z": 1 })), false).is_err());
    }
}
