//! SQLite for D1: the production schema, the production SQL. Every statement that any test runs is
//! explained once, and one that would read a whole table fails the test.

use std::{
    cell::{Cell, RefCell},
    collections::{HashSet, VecDeque},
    future,
    rc::Rc,
    sync::{LazyLock, Mutex, PoisonError},
    task::Poll,
    thread,
};

use bitting_keys::ports::{Database, DatabaseError, LocalFuture, Nearest, Param, Row, Statement};
use rusqlite::{
    Connection, MAIN_DB, StatementStatus,
    functions::{Context, FunctionFlags},
    limits::Limit,
    params_from_iter, types,
};
use serde_json::{Value, json};

use super::Instant;

const SCHEMA: &str = include_str!("../../../schema.sql");

/// The limits of D1: the bytes of a value or row, those of a statement, its parameters, the arguments of a function, and the terms
/// of a `UNION`.
const LIMITS: [(Limit, i32); 5] = [
    (Limit::SQLITE_LIMIT_LENGTH, 2_000_000),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 32),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5),
];

/// How many prepared statements a database keeps.
const STATEMENTS: usize = 256;

/// The statements whose plans are known to be good.
static EXPLAINED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// A database in memory.
pub(crate) struct Sqlite {
    pub(crate) connection: RefCell<Connection>,
    /// Messages with which the next batches fail, before they have any effect.
    pub(crate) failures: RefCell<VecDeque<String>>,
    /// Whether the next batch fails once all of it is done.
    pub(crate) losing: Cell<bool>,
    /// Whether all batches fail.
    pub(crate) down: Cell<bool>,
    /// The nearest replica, if it is not the primary itself.
    pub(crate) replica: RefCell<Option<Rc<Self>>>,
    /// The size that the database tells; `None`: nothing was asked yet.
    pub(crate) size: Cell<Option<i64>>,
    /// How many batches were sent: each is one round trip. Those that write down uses and noted events are not in it.
    pub(crate) batches: Cell<usize>,
    /// How many batches were sent behind an answer to write down which secrets were used when, and noted events.
    pub(crate) use_writes: Cell<usize>,
    /// How many steps SQLite took for the statements of all batches: what they cost, whatever the
    /// clock says, and nearly in proportion to the rows that were read.
    pub(crate) steps: Cell<i64>,
}

impl Sqlite {
    /// A database that holds what `image` does, whose clock shows what `instant` does, in triggers, too.
    pub(crate) fn new(image: &[u8], instant: Instant) -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.deserialize_read_exact(MAIN_DB, image, image.len(), false).unwrap();
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        #[expect(clippy::cast_precision_loss, reason = "times stay far below 2^53")]
        let seconds = move |_: &Context<'_>| Ok(instant.get().0 as f64 / 1000.0);
        connection.create_scalar_function("unixepoch", 1, FunctionFlags::SQLITE_UTF8, seconds).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        for (limit, most) in LIMITS {
            connection.set_limit(limit, most).unwrap();
        }
        Self {
            connection: RefCell::new(connection),
            failures: RefCell::default(),
            losing: Cell::new(false),
            down: Cell::new(false),
            replica: RefCell::default(),
            size: Cell::new(None),
            batches: Cell::new(0),
            use_writes: Cell::new(0),
            steps: Cell::new(0),
        }
    }

    /// All that the database holds, for [`Sqlite::new`].
    pub(crate) fn image(&self) -> Vec<u8> {
        self.connection.borrow_mut().serialize(MAIN_DB).unwrap().to_vec()
    }

    /// Lets the next batch fail with this message.
    pub(crate) fn fail_next(&self, message: &str) {
        self.failures.borrow_mut().push_back(message.to_owned());
    }

    /// Runs SQL of the test's own.
    pub(crate) fn execute(&self, sql: &str) {
        self.connection.borrow().execute_batch(sql).unwrap();
    }

    /// The one value that a query of the test's own gives.
    pub(crate) fn value(&self, sql: &str) -> Value {
        self.connection.borrow().query_row(sql, [], |row| Ok(to_json(row.get_ref(0)?))).unwrap()
    }

    /// How many rows a table has.
    pub(crate) fn count(&self, table: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM {table}")).as_i64().unwrap()
    }

    /// All that the database holds, a line for each row.
    pub(crate) fn dump(&self) -> String {
        dump(&self.connection.borrow())
    }

    /// Runs a batch at once.
    pub(crate) fn run(&self, statements: &[Statement]) -> Result<Vec<Vec<Row>>, DatabaseError> {
        let writes_uses = |statement: &Statement| {
            ["UPDATE keys SET last_used_at = CASE", "INSERT INTO key_uses"]
                .iter()
                .any(|sql| statement.sql.starts_with(sql))
                || statement.sql.contains(" AS noted")
        };
        let counter = if statements.first().is_some_and(writes_uses) { &self.use_writes } else { &self.batches };
        counter.set(counter.get() + 1);
        if let Some(message) = self.failures.borrow_mut().pop_front() {
            return Err(DatabaseError::from_message(message));
        }
        if self.down.get() {
            return Err(DatabaseError::from_message("D1 is down".to_owned()));
        }
        let mut connection = self.connection.borrow_mut();
        let mut run = || -> rusqlite::Result<Vec<Vec<Row>>> {
            let transaction = connection.transaction()?;
            // Explaining a statement resets `changes()`, so all are explained before the first runs.
            for statement in statements {
                Self::explain(&transaction, statement)?;
            }
            let results =
                statements.iter().map(|statement| self.query(&transaction, statement)).collect::<Result<_, _>>()?;
            transaction.commit()?;
            Ok(results)
        };
        let results = run().map_err(|error| DatabaseError::from_message(error.to_string()))?;
        if self.losing.take() {
            return Err(DatabaseError::from_message("D1 has lost the answer".to_owned()));
        }
        Ok(results)
    }

    fn query(&self, connection: &Connection, statement: &Statement) -> rusqlite::Result<Vec<Row>> {
        let mut prepared = connection.prepare_cached(&statement.sql)?;
        let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
        let rows = prepared.query_map(params_from_iter(statement.params.iter().map(to_sql)), |row| {
            columns
                .iter()
                .enumerate()
                .map(|(index, column)| Ok((column.clone(), to_json(row.get_ref(index)?))))
                .collect::<rusqlite::Result<Row>>()
        })?;
        let rows = rows.collect();
        let steps = prepared.reset_status(StatementStatus::VmStep);
        self.steps.set(self.steps.get() + i64::from(steps));
        rows
    }

    /// No statement may read a table from end to end, or sort what it has read.
    fn explain(connection: &Connection, statement: &Statement) -> rusqlite::Result<()> {
        let explained = || EXPLAINED.lock().unwrap_or_else(PoisonError::into_inner);
        if explained().contains(&statement.sql) {
            return Ok(());
        }
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql))?;
        let parameters = params_from_iter(statement.params.iter().map(to_sql));
        let plan: Vec<String> = explain.query_map(parameters, |row| row.get(3))?.collect::<Result<_, _>>()?;
        for step in &plan {
            // `part` is what a recursive query has gathered itself, `listed` a page of a list that was read by its index.
            // A virtual table is `json_each` under an alias.
            let free = [
                "CONSTANT ROW",
                "-ROW VALUES",
                "json_each",
                "VIRTUAL TABLE",
                "(",
                " part",
                " listed",
                " lineage",
                " begun",
                " ending",
            ];
            let scans = step.starts_with("SCAN ") && !free.iter().any(|free| step.contains(free));
            // A list by prefix reads the keys with that prefix and sorts those. A list of what is one's own and
            // what is shared sorts a page of each, and what is shared with one's teams.
            let bounded = ["start >= ?", " UNION "].iter().any(|part| statement.sql.contains(part));
            let sorts = step.contains("TEMP B-TREE") && !bounded;
            assert!(!scans && !sorts, "{}\n{plan:#?}", statement.sql);
        }
        explained().insert(statement.sql.clone());
        Ok(())
    }
}

impl Drop for Sqlite {
    /// Whatever a test has done, what is counted is what is there.
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let wrong = texts(
            &self.connection.borrow(),
            "SELECT json_object('organization', id, 'counted', json_array(keys, projects, members, invitations, datasets, bytes)) \
             FROM organizations LEFT JOIN usage ON organization_id = id WHERE (keys, projects, members, invitations, datasets, bytes) IS NOT ( \
             (SELECT count(*) FROM keys WHERE organization_id = organizations.id AND revoked_at IS NULL AND trust_id IS NULL), \
             (SELECT count(*) FROM projects WHERE organization_id = organizations.id AND deleted_at IS NULL), \
             (SELECT count(*) FROM memberships WHERE organization_id = organizations.id), \
             (SELECT count(*) FROM invitations WHERE organization_id = organizations.id), \
             (SELECT count(*) FROM datasets WHERE organization_id = organizations.id), \
             (SELECT coalesce(sum(bytes), 0) FROM traces WHERE organization_id = organizations.id) \
             + (SELECT coalesce(sum(octet_length(feedback)), 0) FROM feedback WHERE organization_id = organizations.id) \
             + (SELECT coalesce(sum(octet_length(metric_name)), 0) FROM evals WHERE organization_id = organizations.id) \
             + (SELECT coalesce(sum(octet_length(inputs)), 0) FROM runs WHERE organization_id = organizations.id) \
             + (SELECT coalesce(sum(octet_length(cells)), 0) FROM dataset_chunks JOIN datasets ON datasets.id = dataset_id \
             WHERE organization_id = organizations.id))",
        );
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

impl Database for Sqlite {
    fn batch(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Vec<Vec<Row>>, DatabaseError>> {
        Box::pin(async move { self.run(&statements) })
    }

    fn batch_nearest(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Nearest, DatabaseError>> {
        Box::pin(async move {
            let replica = self.replica.borrow();
            let rows = replica.as_deref().unwrap_or(self).run(&statements)?;
            Ok(Nearest { rows, is_current: replica.is_none() })
        })
    }

    fn size_bytes(&self) -> Option<i64> {
        self.size.get()
    }
}

/// The image of a database that has the schema and no rows. To run the schema takes as long as most tests.
pub(crate) fn empty() -> Vec<u8> {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection.serialize(MAIN_DB).unwrap().to_vec()
}

/// All that a database holds, a line for each row.
pub(crate) fn dump(connection: &Connection) -> String {
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    let mut lines = String::new();
    for table in texts(connection, names) {
        let mut rows = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            lines.push_str(&table);
            for column in 0..columns {
                lines.push('|');
                lines.push_str(&to_json(row.get_ref(column).unwrap()).to_string());
            }
            lines.push('\n');
        }
    }
    lines
}

/// The texts that a query gives in its first column.
pub(crate) fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut query = connection.prepare(sql).unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// What happens before a batch, which has this number.
pub(crate) type Meddling = dyn Fn(&Sqlite, usize);

/// A database before each of whose batches something else happens, and time for others passes.
pub(crate) struct Meddled {
    pub(crate) database: Rc<Sqlite>,
    /// How many batches have come, and what happens before each.
    pub(crate) batches: Cell<usize>,
    pub(crate) before: Box<Meddling>,
}

impl Database for Meddled {
    fn batch(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Vec<Vec<Row>>, DatabaseError>> {
        Box::pin(async move {
            let mut waited = false;
            future::poll_fn(|context| {
                if std::mem::replace(&mut waited, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            (self.before)(&self.database, self.batches.replace(self.batches.get() + 1));
            self.database.run(&statements)
        })
    }

    fn batch_nearest(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Nearest, DatabaseError>> {
        self.database.batch_nearest(statements)
    }

    fn size_bytes(&self) -> Option<i64> {
        self.database.size_bytes()
    }
}

/// D1 passes every number as a double, and so does this.
#[expect(clippy::cast_precision_loss, reason = "times and counts stay far below 2^53")]
fn to_sql(param: &Param) -> types::Value {
    match param {
        Param::Null => types::Value::Null,
        Param::Integer(number) => types::Value::Real(*number as f64),
        Param::Text(text) => types::Value::Text(text.clone()),
    }
}

fn to_json(value: types::ValueRef<'_>) -> Value {
    match value {
        types::ValueRef::Null => Value::Null,
        types::ValueRef::Integer(number) => json!(number),
        types::ValueRef::Real(number) => json!(number),
        types::ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
        types::ValueRef::Blob(_) => panic!("no column here holds a blob"),
    }
}
