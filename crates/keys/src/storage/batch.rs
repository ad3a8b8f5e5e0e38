//! Batches whose results are taken by handle. A statement is added together with the reader of its rows, which
//! returns a handle, and the handle takes the result.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;

use crate::{
    ports::{Database, DatabaseError, Nearest, Row, Statement},
    storage::typed,
};

/// A statement with the reader of its rows.
pub struct Query<T> {
    statement: Statement,
    read: Reader<T>,
}

/// Reads the rows of one statement.
pub type Reader<T> = fn(Vec<Row>) -> Result<T, DatabaseError>;

impl<T> Query<T> {
    /// Creates a query from a statement and the reader of its rows.
    pub fn new(statement: Statement, read: Reader<T>) -> Self {
        Self { statement, read }
    }

    /// Runs the query alone.
    ///
    /// # Errors
    /// The database's.
    pub async fn run(self, database: &dyn Database) -> Result<T, DatabaseError> {
        let rows = database.batch(vec![self.statement]).await?.pop();
        (self.read)(rows.unwrap_or_default())
    }
}

impl<T: DeserializeOwned> Query<Vec<T>> {
    /// A query for all rows.
    pub fn rows(statement: Statement) -> Self {
        Self::new(statement, typed)
    }
}

impl<T: DeserializeOwned> Query<Option<T>> {
    /// A query for the first row, if there is one.
    pub fn first(statement: Statement) -> Self {
        Self::new(statement, |rows| Ok(typed(rows)?.into_iter().next()))
    }
}

impl<T: DeserializeOwned> Query<Option<T>> {
    /// A query for the one column of the first row, if there is one.
    pub fn scalar(statement: Statement) -> Self {
        Self::new(statement, |rows| {
            let value = rows.into_iter().next().and_then(|row| row.into_iter().next());
            let value = value.map(|(_, value)| serde_json::from_value(value)).transpose();
            value.map_err(|error| DatabaseError::Failed(format!("a column is not what the statement selects: {error}")))
        })
    }
}

impl Query<bool> {
    /// A query for whether there is a row. With `RETURNING` it tells whether a row was changed.
    pub fn any(statement: Statement) -> Self {
        Self::new(statement, |rows| Ok(!rows.is_empty()))
    }
}

impl<T> From<Query<T>> for Statement {
    /// Drops the reader, for callers that ignore the result.
    fn from(query: Query<T>) -> Self {
        query.statement
    }
}

/// Statements that run in order, in one transaction and one round trip.
#[derive(Default)]
pub struct Batch {
    statements: VecDeque<Statement>,
    /// The number of statements that were prepended.
    prepended: isize,
}

impl Batch {
    /// Creates an empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a statement at the end and returns the handle of its result.
    pub fn add<T>(&mut self, query: Query<T>) -> Handle<T> {
        let index = isize::try_from(self.statements.len()).unwrap_or(isize::MAX) - self.prepended;
        self.statements.push_back(query.statement);
        Handle { index, read: query.read }
    }

    /// Puts a statement before all others and returns the handle of its result. Earlier handles stay valid.
    pub fn prepend<T>(&mut self, query: Query<T>) -> Handle<T> {
        self.prepended += 1;
        self.statements.push_front(query.statement);
        Handle { index: -self.prepended, read: query.read }
    }

    /// Adds a statement at the end and ignores its result.
    pub fn execute(&mut self, statement: impl Into<Statement>) {
        self.statements.push_back(statement.into());
    }

    /// Puts a statement before all others and ignores its result.
    pub fn execute_first(&mut self, statement: Statement) {
        self.prepended += 1;
        self.statements.push_front(statement);
    }

    /// Runs the batch.
    ///
    /// # Errors
    /// The database's; then no statement has had any effect.
    pub async fn run(self, database: &dyn Database) -> Result<Results, DatabaseError> {
        let Self { statements, prepended } = self;
        let rows = database.batch(statements.into()).await?;
        Ok(Results { rows, prepended })
    }

    /// Runs a batch that only reads on the nearest replica. Returns true with the results if they are current.
    ///
    /// # Errors
    /// The database's.
    pub async fn run_nearest(self, database: &dyn Database) -> Result<(Results, bool), DatabaseError> {
        let Self { statements, prepended } = self;
        let Nearest { rows, is_current } = database.batch_nearest(statements.into()).await?;
        Ok((Results { rows, prepended }, is_current))
    }
}

impl Extend<Statement> for Batch {
    /// Adds statements at the end and ignores their results.
    fn extend<I: IntoIterator<Item = Statement>>(&mut self, statements: I) {
        self.statements.extend(statements);
    }
}

/// The position of a statement's result in the results of its batch. It takes the result once.
#[must_use = "use `execute` for a statement whose result is ignored"]
pub struct Handle<T> {
    /// Counted from the first statement that was added; negative for prepended ones.
    index: isize,
    read: Reader<T>,
}

/// The rows that a batch returned.
pub struct Results {
    rows: Vec<Vec<Row>>,
    prepended: isize,
}

impl Results {
    /// Takes the result of a handle's statement.
    ///
    /// # Errors
    /// [`DatabaseError::Failed`] if a row does not have the expected columns.
    #[expect(clippy::needless_pass_by_value, reason = "a handle takes its result once")]
    pub fn take<T>(&mut self, handle: Handle<T>) -> Result<T, DatabaseError> {
        let position = usize::try_from(handle.index + self.prepended).ok();
        let rows = position.and_then(|position| self.rows.get_mut(position)).map(std::mem::take);
        (handle.read)(rows.ok_or_else(|| DatabaseError::Failed("the database returned too few results".to_owned()))?)
    }
}
