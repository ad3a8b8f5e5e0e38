//! `GET /v1/feed`: the change feed, for services that verify keys themselves.

use bitting_http::{
    call::Call,
    message::Response,
    operation::Operation,
    problem::Problem,
    typed::{InQuery, Json, Output, Whole},
};
use bitting_keys::{
    app::Principal,
    domain::{
        feed::Change,
        id::{Seq, Subject},
    },
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::key_verification::MAX_SEQ;

/// The header that gives the age of the feed, also in a response without a body.
const AGE_HEADER: &str = "X-Feed-Age-Ms";

/// The place of a follower in the feed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedQuery {
    /// The `head` of the last answer. Leave it out in the first request: then the feed starts from its head.
    after: Option<Whole<0, MAX_SEQ>>,
}

/// The changes since the last answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Feed")]
pub(crate) struct FeedBody {
    /// The number from which on no change is missing. If it is greater than `after`, what was read before it can no
    /// longer be judged.
    base: Seq,
    /// The number of the newest change.
    head: Seq,
    /// The age of this answer when it was sent, in milliseconds.
    age_ms: i64,
    /// The age from which on nothing may be used, in milliseconds.
    max_staleness_ms: i64,
    /// The number of the last change of each subject that has changed, with the id of the subject, the newest first.
    #[schemars(schema_with = "changes_schema")]
    changes: Vec<Change>,
}

// Without `items` there are linters that take a tuple for an array of anything.
fn changes_schema(generator: &mut SchemaGenerator) -> Schema {
    let pair = json_schema!({
        "type": "array",
        "prefixItems": [generator.subschema_for::<Seq>(), generator.subschema_for::<Subject>()],
        "items": {},
        "minItems": 2,
        "maxItems": 2,
    });
    json_schema!({ "type": "array", "items": pair })
}

/// The feed as a response, for a follower that knows all of it or for one that does not.
pub(crate) enum News {
    /// The changes.
    Changed(FeedBody),
    /// The head and the age.
    NotModified { head: Seq, age_ms: i64 },
}

impl Output for News {
    fn response(self) -> Response {
        let (mut response, head, age_ms) = match self {
            Self::Changed(body) => (Response::json(200, &body), body.head, body.age_ms),
            Self::NotModified { head, age_ms } => (Response::empty(304), head, age_ms),
        };
        response.headers.push(("ETag".into(), tag(head)));
        response.headers.push((AGE_HEADER.into(), age_ms.to_string()));
        response
    }

    fn describe(operation: &mut Operation<'_>) {
        Json::<FeedBody>::describe(operation);
        operation.empty(304);
    }
}

fn tag(head: Seq) -> String {
    format!("\"{}\"", head.0)
}

/// Returns the changes after `after`. The operator's keys see all subjects, and all other keys their own. With the
/// header `If-None-Match` and the `ETag` of the last answer, answers 304 if nothing has changed; `X-Feed-Age-Ms` is the
/// age of that answer.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<FeedQuery>,
) -> Result<News, Problem> {
    let after = query.after.map(|Whole(after)| Seq(after));
    let (followed, age_ms) = call.app.follow(principal, after).await?;
    let head = followed.head;
    if after == Some(head) && call.request.header("if-none-match").is_some_and(|known| known.trim() == tag(head)) {
        return Ok(News::NotModified { head, age_ms });
    }
    let max_staleness_ms = call.app.config.max_staleness_ms;
    Ok(News::Changed(FeedBody { base: followed.base, head, age_ms, max_staleness_ms, changes: followed.changes }))
}
