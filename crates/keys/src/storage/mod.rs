//! All SQL, with one file per family of tables. Each function returns one statement, together with the reader of
//! its rows if they are used; see [`batch`]. The module `app` decides who may run a statement, and in which batch.

pub mod audit;
pub mod audit_seals;
pub mod batch;
pub mod changes;
pub mod device_links;
pub mod idempotency;
pub mod invitations;
pub mod key_uses;
pub mod keys;
pub mod leaks;
pub mod lineage;
pub mod organizations;
pub mod page;
pub mod people;
pub mod projects;
pub mod sessions;
pub mod snapshots;
pub mod teams;
pub mod trusts;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use crate::domain::json::{text as json_text, text_or_null as json_text_or_null};

use crate::ports::{DatabaseError, Param, Row, Statement};

/// The condition that a row is in the version that the caller expects, if they expect one.
pub const AS_EXPECTED: &str = "(:expected IS NULL OR max(created_at, updated_at) = :expected)";
/// The assignment of the next version. No version is used twice.
pub const NEXT_VERSION: &str = "updated_at = max(:now, created_at + 1, updated_at + 1)";

/// A statement with its parameters by name: `statement!("SELECT … WHERE id = :id AND at > :since", id, since:
/// now)`.
#[macro_export]
macro_rules! statement {
    ($sql:expr $(, $name:ident $(: $param:expr)?)* $(,)?) => {
        $crate::storage::by_name(
            &$sql,
            vec![$((
                stringify!($name),
                $crate::storage::ToParam::to_param(&$crate::statement!(@ $name $($param)?)),
            )),*],
        )
    };
    (@ $name:ident) => { $name };
    (@ $name:ident $param:expr) => { $param };
}
/// Replaces the name of the first parameter by `?1` and so on, because D1 supports only numbered parameters. A name
/// without a parameter stays, and every database refuses it.
pub fn by_name(sql: &str, params: Vec<(&'static str, Param)>) -> Statement {
    let mut text = String::with_capacity(sql.len());
    // Every second part is an SQL string, between single quotes.
    for (index, part) in sql.split('\'').enumerate() {
        if index > 0 {
            text.push('\'');
        }
        if index % 2 == 1 {
            text.push_str(part);
            continue;
        }
        let mut pieces = part.split(':');
        text.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let end = piece.find(|next: char| !next.is_ascii_alphanumeric() && next != '_').unwrap_or(piece.len());
            let (name, rest) = piece.split_at_checked(end).unwrap_or((piece, ""));
            if let Some(position) = params.iter().position(|(param, _)| *param == name) {
                text.push('?');
                text.push_str(&(position + 1).to_string());
            } else {
                text.push(':');
                text.push_str(name);
            }
            text.push_str(rest);
        }
    }
    Statement { sql: text, params: params.into_iter().map(|(_, param)| param).collect() }
}

/// The database's own clock, in milliseconds. The schema's triggers use the same one.
pub const DATABASE_NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// A value that can be bound to a statement.
pub trait ToParam {
    /// The value as a parameter.
    fn to_param(&self) -> Param;
}

impl ToParam for i64 {
    fn to_param(&self) -> Param {
        Param::Integer(*self)
    }
}

impl ToParam for crate::domain::time::UnixMillis {
    fn to_param(&self) -> Param {
        Param::Integer(self.0)
    }
}

impl ToParam for crate::domain::id::Seq {
    fn to_param(&self) -> Param {
        Param::Integer(self.0)
    }
}

impl ToParam for bool {
    /// 1 for true and 0 for false, as in SQL.
    fn to_param(&self) -> Param {
        Param::Integer(i64::from(*self))
    }
}

impl ToParam for crate::domain::key_text::Digest {
    fn to_param(&self) -> Param {
        Param::Text(self.to_hex())
    }
}

macro_rules! name_params {
    ($($kind:ty),* $(,)?) => {
        $(impl ToParam for $kind {
            fn to_param(&self) -> Param {
                Param::Text(self.as_str().to_owned())
            }
        })*
    };
}
name_params!(
    crate::domain::key_text::KeyKind,
    crate::domain::key::Name,
    crate::domain::key::Role,
    crate::domain::organization::LeakResponse,
    crate::domain::organization::Subscription,
    crate::domain::person::Email,
);

impl<T: ToParam + ?Sized> ToParam for &T {
    fn to_param(&self) -> Param {
        (*self).to_param()
    }
}

macro_rules! text_params {
    ($($kind:ty),*) => {
        $(impl ToParam for $kind {
            fn to_param(&self) -> Param {
                Param::Text(self.to_string())
            }
        })*
    };
}
text_params!(
    str,
    String,
    crate::domain::id::BoundTo,
    crate::domain::id::InvitationId,
    crate::domain::id::KeyId,
    crate::domain::id::OrganizationId,
    crate::domain::id::ProjectId,
    crate::domain::id::SessionId,
    crate::domain::id::SignInLinkId,
    crate::domain::id::TeamId,
    crate::domain::id::TrustId,
    crate::domain::id::UserId,
    Value
);

impl<T: ToParam> ToParam for Option<T> {
    fn to_param(&self) -> Param {
        self.as_ref().map_or(Param::Null, ToParam::to_param)
    }
}

/// The conditions of a list and their parameters by name, put together from its filter.
pub struct Conditions {
    sql: String,
    params: Vec<(&'static str, Param)>,
}

impl Conditions {
    /// Starts with a condition that always applies.
    pub fn new(condition: &str, name: &'static str, value: impl ToParam) -> Self {
        Self { sql: condition.to_owned(), params: vec![(name, value.to_param())] }
    }

    /// Adds a condition without a parameter of its own.
    pub fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// Adds a condition on a parameter, if there is a value for it.
    pub fn and_if<T: ToParam>(&mut self, condition: &str, name: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.and(condition);
            self.params.push((name, value.to_param()));
        }
    }

    /// Adds a parameter that stands after the conditions, such as a limit.
    pub fn with(&mut self, name: &'static str, value: impl ToParam) {
        self.params.push((name, value.to_param()));
    }

    /// The conditions as SQL.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Creates the statement with these parameters.
    pub fn statement(self, sql: &str) -> Statement {
        by_name(sql, self.params)
    }
}

/// Reads the rows of a statement into a type with its columns.
///
/// # Errors
/// [`DatabaseError::Failed`] if a row does not have these columns.
pub fn typed<T: DeserializeOwned>(rows: Vec<Row>) -> Result<Vec<T>, DatabaseError> {
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        values.push(serde_json::from_value(Value::Object(row)).map_err(|error| wrong_row(&error))?);
    }
    Ok(values)
}

fn wrong_row(error: &serde_json::Error) -> DatabaseError {
    DatabaseError::Failed(format!("a row is not what the statement selects: {error}"))
}

/// Reads the rows of a statement that selects the columns of two values. `serde(flatten)` would do the same for ten
/// times the code.
///
/// # Errors
/// As [`typed`].
pub fn typed_pairs<A: DeserializeOwned, B: DeserializeOwned>(rows: Vec<Row>) -> Result<Vec<(A, B)>, DatabaseError> {
    let first = typed::<A>(rows.clone())?;
    Ok(first.into_iter().zip(typed::<B>(rows)?).collect())
}

/// The JSON text of a value, as a column holds it.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
