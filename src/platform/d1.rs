//! D1 as the [`Database`] port.

use std::{cell::Cell, rc::Rc};

use bitting_keys::ports::{Database, DatabaseError, LocalFuture, Nearest, Param, Row, Statement};
use js_sys::{Array, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use worker::{D1Database, Env, wasm_bindgen_futures::JsFuture, worker_sys};

/// The binding `DB`, looked up for each batch, because most verifications do not need it.
pub(crate) struct D1 {
    /// The bindings of the request.
    pub(crate) env: Rc<Env>,
    /// The size of the database in bytes, as its newest answer to this isolate told it.
    pub(crate) size: Rc<Cell<Option<i64>>>,
}

impl Database for D1 {
    fn batch(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Vec<Vec<Row>>, DatabaseError>> {
        Box::pin(async move {
            let answer = self.run(&statements, worker_sys::D1Database::batch).await;
            Ok(answer.map_err(DatabaseError::from_message)?.rows)
        })
    }

    fn batch_nearest(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Nearest, DatabaseError>> {
        Box::pin(async move {
            let nearest = |database: &worker_sys::D1Database, statements| {
                database.with_session(Some("first-unconstrained"))?.session_batch(statements)
            };
            self.run(&statements, nearest).await.map_err(DatabaseError::from_message)
        })
    }

    fn size_bytes(&self) -> Option<i64> {
        self.size.get()
    }
}

impl D1 {
    async fn run(
        &self,
        statements: &[Statement],
        send: impl FnOnce(&worker_sys::D1Database, Array) -> Result<Promise, JsValue>,
    ) -> Result<Nearest, String> {
        let database = self.env.d1("DB").map_err(|error| error.to_string())?;
        let prepared =
            statements.iter().map(|statement| prepare(&database, statement)).collect::<Result<Array, _>>()?;
        // The crate's own `batch` hides the size, or reads it into 32 bits.
        let batch = send(database.unchecked_ref(), prepared);
        let results = JsFuture::from(batch.map_err(message)?).await.map_err(message)?;
        let mut nearest = Nearest { rows: Vec::with_capacity(statements.len()), is_current: true };
        for result in Array::from(&results).iter() {
            nearest.rows.push(self.read(&result.unchecked_into(), &mut nearest.is_current).map_err(message)?);
        }
        Ok(nearest)
    }

    fn read(&self, result: &worker_sys::D1Result, is_current: &mut bool) -> Result<Vec<Row>, JsValue> {
        let meta = &*result.meta()?;
        *is_current &= Reflect::get(meta, &"served_by_primary".into())? == JsValue::TRUE;
        if let Some(size) = Reflect::get(meta, &"size_after".into())?.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "a size is a whole number")]
            self.size.set(Some(size as i64));
        }
        let rows = result.results()?.unwrap_or_default();
        rows.iter().map(serde_wasm_bindgen::from_value).collect::<Result<_, _>>().map_err(JsValue::from)
    }
}

fn prepare(database: &D1Database, statement: &Statement) -> Result<JsValue, String> {
    let params: Vec<JsValue> = statement.params.iter().map(to_js).collect();
    let prepared = database.prepare(statement.sql.as_str()).bind(&params).map_err(|error| error.to_string())?;
    Ok(prepared.inner().into())
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

/// Returns the message of D1.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn message(error: JsValue) -> String {
    error.dyn_ref().map_or_else(|| format!("{error:?}"), |error: &js_sys::Error| error.message().into())
}
