//! A server with a language model that answers as a test says.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use bitting_keys::{
    domain::catalogue::Target,
    ports::{ByteSource, Incoming, LocalFuture, Outgoing, Upstream, UpstreamError},
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, LocalBoxStream},
};
use serde_json::{Value, json};

use super::{Instant, World};

pub(crate) const CONFIG: [(&str, &str); 3] = [
    ("JUDGE_URL", "https://models.example.com/v1/"),
    ("JUDGE_MODEL", "judge-1"),
    ("JUDGE_API_KEY", "sk-the-operators-own"),
];

/// What the server does when it is asked.
pub(crate) enum Turn {
    /// It says this, as a chat completion.
    Says(String),
    /// It answers with this status, these headers and this body.
    Answers(u16, Vec<(&'static str, &'static str)>, Vec<u8>),
    /// It answers, but the body breaks off.
    BreaksOff,
    /// It begins to answer and never ends.
    Hangs,
    /// It never ends to answer.
    Floods,
    /// It does not answer.
    Fails(UpstreamError),
}

/// The server.
pub(crate) struct Model {
    turns: RefCell<VecDeque<Turn>>,
    clock: Instant,
    /// When it was asked, and what.
    pub(crate) asked: RefCell<Vec<(i64, Value)>>,
}

impl Model {
    /// Gives the world a model that does this, one thing for each time that it is asked.
    pub(crate) fn of(world: &mut World, turns: impl IntoIterator<Item = Turn>) -> Rc<Self> {
        world.configure(&CONFIG);
        let (turns, clock) = (RefCell::new(turns.into_iter().collect()), world.clock.0.clone());
        let model = Rc::new(Self { turns, clock, asked: RefCell::default() });
        world.app.upstream = model.clone();
        model
    }

    /// The milliseconds between one question and the next.
    pub(crate) fn waits(&self) -> Vec<i64> {
        self.asked.borrow().windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }
}

impl Turn {
    pub(crate) fn says(answer: &Value) -> Self {
        Self::Says(answer.to_string())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Answers(status, Vec::new(), b"{}".to_vec())
    }
}

impl Upstream for Model {
    fn send(&self, request: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>> {
        Box::pin(self.answer(request))
    }
}

impl Model {
    async fn answer(&self, request: Outgoing) -> Result<Incoming, UpstreamError> {
        let body = request.body.unwrap();
        let body = body.pieces().try_concat().await.unwrap();
        self.asked.borrow_mut().push((self.clock.get().0, serde_json::from_slice(&body).unwrap()));
        assert_eq!(request.method, "POST");
        assert_eq!(request.target, Target::Upstream("https://models.example.com".to_owned()));
        assert_eq!(request.path, "/v1/chat/completions");
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(headers, [("Content-Type", "application/json"), ("Authorization", "Bearer sk-the-operators-own")]);
        let pieces = |pieces: fn() -> Pieces| Rc::new(Body(pieces)) as Rc<dyn ByteSource>;
        let turn = self.turns.borrow_mut().pop_front().unwrap_or_else(|| panic!("it is not to be asked so often"));
        let (status, headers, body): (_, Vec<_>, Rc<dyn ByteSource>) = match turn {
            Turn::Says(text) => {
                let completion = json!({ "choices": [{ "message": { "role": "assistant", "content": text } }] });
                (200, Vec::new(), Rc::new(completion.to_string().into_bytes()))
            }
            Turn::Answers(status, headers, body) => (status, headers, Rc::new(body)),
            Turn::BreaksOff => {
                (200, Vec::new(), pieces(|| stream::iter([Ok(b"{".to_vec()), Err("gone".to_owned())]).boxed_local()))
            }
            Turn::Hangs => (200, Vec::new(), pieces(|| stream::pending().boxed_local())),
            Turn::Floods => {
                (200, Vec::new(), pieces(|| stream::repeat(()).map(|()| Ok(vec![b' '; 1_000])).boxed_local()))
            }
            Turn::Fails(error) => {
                if error == UpstreamError::TimedOut {
                    self.clock.set(self.clock.get().plus_ms(i64::from(request.timeout_seconds) * 1000));
                }
                return Err(error);
            }
        };
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Incoming { status, headers, body: Some(body) })
    }
}

type Pieces = LocalBoxStream<'static, Result<Vec<u8>, String>>;

/// A body of these pieces.
struct Body(fn() -> Pieces);

impl ByteSource for Body {
    fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
        self.0()
    }
}
