//! The driver of the rules: a referee (`tests/clients/conformance.mjs`) tells the time, who comes with which key, and what
//! Bitting answers, one JSON text a line, and hears on a line what the verifier asks and decides.

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};
use std::mem;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bitting_client::{Answer, Copies, Entry, News, Options, Question, Response, Transport, Verifier};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Command {
    #[serde(rename = "do")]
    action: String,
    #[serde(default)]
    at: f64,
    #[serde(default)]
    id: usize,
    #[serde(default)]
    key: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    answer: Value,
    #[serde(default)]
    after: Option<i64>,
    #[serde(default)]
    sent_at: f64,
}

#[derive(Default)]
struct World {
    now: f64,
    /// The threads that were started, those that ended, and those that wait for an answer of Bitting.
    count: Count,
    asks: Vec<(String, Option<String>, Sender<Option<String>>)>,
    numbered: Vec<Sender<Option<String>>>,
    verdicts: Vec<(usize, bool, String)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    started: usize,
    ended: usize,
    pending: usize,
}

#[derive(Clone, Default)]
struct Referee(Arc<Mutex<World>>);

impl Referee {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when everybody waits for an answer.
    fn settle(&self, verifier: &Verifier) {
        loop {
            let before = self.world().count;
            let waiting = verifier.waiting();
            let is_same = before == self.world().count;
            if is_same && before.started == before.ended + before.pending + waiting {
                return;
            }
            thread::yield_now();
        }
    }

    /// The questions and the verdicts, in an order that does not depend on who ran first.
    fn events(&self) -> Vec<Value> {
        let world = &mut *self.world();
        let (mut verdicts, mut asks) = (mem::take(&mut world.verdicts), mem::take(&mut world.asks));
        verdicts.sort();
        asks.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        let mut events: Vec<Value> =
            verdicts.iter().map(|(id, valid, code)| json!({ "verdict": id, "valid": valid, "code": code })).collect();
        for (path, body, answer) in asks {
            let body: Option<Value> = body.and_then(|body| serde_json::from_str(&body).ok());
            let mut event = json!({ "ask": world.numbered.len(), "path": path });
            if let (Some(event), Some(body)) = (event.as_object_mut(), body) {
                event.insert("body".to_owned(), body);
            }
            events.push(event);
            world.numbered.push(answer);
        }
        events
    }
}

impl Transport for Referee {
    fn ask(&self, question: Question) -> Result<Response, String> {
        let (sender, answer) = channel();
        {
            let mut world = self.world();
            let path = question.url.replace("https://bitting.example", "");
            world.asks.push((path, question.body, sender));
            world.count.pending += 1;
        }
        let text = answer.recv().map_err(|error| error.to_string())?;
        text.map(|text| Response { status: 200, text }).ok_or_else(|| "lost".to_owned())
    }

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) {
        self.world().count.started += 1;
        let referee = self.clone();
        thread::spawn(move || {
            work();
            referee.world().count.ended += 1;
        });
    }
}

struct Driver {
    copies: Copies,
    referee: Referee,
    verifier: Verifier,
}

impl Driver {
    fn new() -> Self {
        let referee = Referee::default();
        let clock = referee.clone();
        let options = Options { clock: Box::new(move || clock.world().now), ..Options::default() };
        let verifier = Verifier::new("https://bitting.example", "own", referee.clone(), options);
        Self { copies: Copies::new(10, f64::INFINITY), referee, verifier }
    }

    fn obey(&mut self, said: Command) -> Result<Vec<Value>, Box<dyn Error>> {
        self.referee.world().now = said.at;
        let name = [0; 32];
        match said.action.as_str() {
            "copies" => self.copies = Copies::new(10, f64::INFINITY),
            "hear" => self.copies.hear(serde_json::from_value::<News>(said.answer)?, said.after, said.sent_at),
            "keep" => self.copies.keep(name, Entry::new(Answer::read(&said.answer.to_string())?, said.sent_at)),
            "judge" => {
                let answer = self.copies.judge(&name, said.at, f64::INFINITY);
                let code = answer.map_or_else(|| "ask".to_owned(), |answer| answer.code.clone());
                return Ok(vec![json!({ "code": code })]);
            }
            "verifier" => *self = Self::new(),
            "verify" => {
                let (verifier, referee, id, key) = (self.verifier.clone(), self.referee.clone(), said.id, said.key);
                self.referee.spawn(Box::new(move || {
                    let verdict = verifier.verify(&key, &[]);
                    referee.world().verdicts.push((id, verdict.valid, verdict.code));
                }));
                self.referee.settle(&self.verifier);
            }
            "answer" => {
                {
                    let mut world = self.referee.world();
                    world.count.pending -= 1;
                    world.numbered.get(said.id).ok_or("no such question")?.send(said.body)?;
                }
                self.referee.settle(&self.verifier);
            }
            other => return Err(format!("no such command: {other}").into()),
        }
        Ok(self.referee.events())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut driver = Driver::new();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let events = driver.obey(serde_json::from_str(&line?)?)?;
        writeln!(out, "{}", json!(events))?;
        out.flush()?;
    }
    Ok(())
}
