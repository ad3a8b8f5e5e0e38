//! D1 as the [`Database`] port.

use bitting_keys::ports::{Database, DatabaseError, LocalFuture, Param, Row, Statement};
use wasm_bindgen::JsValue;
use worker::{D1Database, Env};

/// The binding `DB`, looked up for each batch, because most verifications do not need it.
pub(crate) struct D1(pub(crate) Env);

impl Database for D1 {
    fn batch(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Vec<Vec<Row>>, DatabaseError>> {
        Box::pin(async move {
            let run = async {
                let database = self.0.d1("DB")?;
                let prepared = statements.iter().map(|statement| prepare(&database, statement));
                let prepared = prepared.collect::<worker::Result<Vec<_>>>()?;
                let results = database.batch(prepared).await?;
                results.iter().map(worker::D1Result::results::<Row>).collect::<worker::Result<_>>()
            };
            run.await.map_err(|error| DatabaseError::from_message(message(&error)))
        })
    }
}

fn prepare(database: &D1Database, statement: &Statement) -> worker::Result<worker::D1PreparedStatement> {
    let params: Vec<JsValue> = statement.params.iter().map(to_js).collect();
    database.prepare(statement.sql.as_str()).bind(&params)
}

/// Converts a parameter. D1 accepts numbers only as doubles, and an `i64` would become a `BigInt`.
#[expect(clippy::cast_precision_loss, reason = "times and counts stay far below 2^53")]
fn to_js(param: &Param) -> JsValue {
    match param {
        Param::Null => JsValue::NULL,
        Param::Integer(number) => JsValue::from_f64(*number as f64),
        Param::Text(text) => JsValue::from_str(text),
    }
}

/// Returns the message of D1. The crate's own text is that of the cause, which some errors lack.
fn message(error: &worker::Error) -> String {
    match error {
        worker::Error::D1(error) => {
            let error: &js_sys::Error = error.as_ref();
            error.message().into()
        }
        other => other.to_string(),
    }
}
