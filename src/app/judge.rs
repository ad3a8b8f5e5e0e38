//! Judging: by a rule, here, or by a language model that the operator has set up.

use crate::{
    app::{App, error::Error},
    domain::{
        dataset::Row,
        judge::{Judge, Judgment},
    },
};

impl App {
    /// What a judge says of these values.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when a model is to judge and there is none.
    #[expect(clippy::unused_async, reason = "a model is asked over the network")]
    pub async fn judge(&self, judge: &Judge, inputs: &Row) -> Result<Judgment, Error> {
        judge.by_rule(inputs).ok_or_else(|| Error::Unavailable("there is no model".to_owned()))
    }
}
