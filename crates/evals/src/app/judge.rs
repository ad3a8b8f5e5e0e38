//! Judging: by a rule, here, or by the operator's language model.

use serde::Deserialize;
use serde_json::json;

use crate::{
    app::model::{LanguageModel, Question, Unanswered, object_of},
    domain::{
        dataset::DatasetRow,
        judge::{Judge, Judgment, ModelJudge, Ruling},
    },
};

/// The most characters of an explanation that are kept.
const MAX_EXPLANATION_CHARS: usize = 2_000;

/// The answer of a model.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    verdict: String,
    explanation: String,
}

impl LanguageModel<'_> {
    /// Judges these values.
    ///
    /// # Errors
    /// [`Unanswered`] when a model is to judge and there is none, or none that answers.
    pub async fn judge(&self, judge: &Judge, inputs: &DatasetRow) -> Result<Judgment, Unanswered> {
        let ModelJudge { instructions, verdicts, passing } = match judge.by_rule(inputs) {
            Ruling::Judged(judgment) => return Ok(judgment),
            Ruling::Model(model) => model,
        };
        let question = Question {
            instructions: format!(
                "You are a judge. Judge the data by the following instructions, choose one of the verdicts, and \
                 explain it in one to three sentences.\n\n{instructions}"
            ),
            data: json!(inputs),
            answer: object_of(&json!({
                "explanation": { "type": "string" },
                "verdict": { "type": "string", "enum": verdicts },
            })),
        };
        let known = |answer: &Answer| verdicts.iter().any(|verdict| verdict.as_str() == answer.verdict);
        let Answer { verdict, explanation } = self.ask(&question, known).await?;
        Ok(Judgment {
            passed: passing.iter().any(|passing| passing.as_str() == verdict),
            verdict,
            score: None,
            explanation: explanation.chars().take(MAX_EXPLANATION_CHARS).collect(),
        })
    }
}
