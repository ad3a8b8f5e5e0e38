//! The Worker's events: wires the platform to the core and does nothing else.

use std::{
    cell::{Cell, OnceCell},
    panic,
    rc::Rc,
};

use bitting_keys::{
    app::{App, config::Config, extensions::Extensions, holder::Holder, isolate::Isolate},
    domain::id::Seq,
    ports::{Background, FeedHolder, LocalFuture},
};
use worker::{Context, DurableObject, Env, ScheduleContext, ScheduledEvent, durable_object, event, web_sys};

use crate::{
    entry,
    platform::{
        d1::D1,
        holder::RegionalHolder,
        kv::Kv,
        limiter::RateLimits,
        message,
        signatures::Subtle,
        system::{WaitUntil, WallClock, WebCrypto},
        upstream::Fetcher,
    },
};

/// The state of an isolate: the configuration, the other parts' settings, its memory, and the size of the database.
type State = (Rc<Config>, Extensions, Rc<Isolate>, Rc<Cell<Option<i64>>>);

/// A holder of the feed, as the class that `worker.js` wraps.
#[durable_object(alarm)]
struct HolderObject {
    state: worker::State,
    /// The holder, or a message about the configuration.
    holder: Result<Holder, String>,
    has_alarm: Cell<bool>,
}

impl DurableObject for HolderObject {
    fn new(state: worker::State, env: Env) -> Self {
        let app = app(env, Rc::new(NoBackground));
        // It is no isolate that holds keys, although it may live in one.
        let holder = app.map(|app| Holder::new(App { isolate: Rc::default(), ..app }));
        Self { state, holder, has_alarm: Cell::new(false) }
    }

    async fn fetch(&self, request: worker::Request) -> worker::Result<worker::Response> {
        let since = request.inner().url().rsplit_once('=').and_then(|(_, since)| since.parse().ok()).map(Seq);
        let (Ok(holder), Some(since)) = (&self.holder, since) else {
            return worker::Response::error("the configuration or the question is wrong", 503);
        };
        if !self.has_alarm.replace(true) {
            self.state.storage().set_alarm(holder.interval_ms()).await?;
        }
        match holder.news(since).await {
            Ok(news) => worker::Response::from_json(&news),
            Err(error) => worker::Response::error(format!("{error:?}"), 503),
        }
    }

    async fn alarm(&self) -> worker::Result<worker::Response> {
        let due_in_ms = match &self.holder {
            Ok(holder) => holder.poll().await,
            Err(_) => None,
        };
        match due_in_ms {
            Some(ms) => self.state.storage().set_alarm(ms).await?,
            None => self.has_alarm.set(false),
        }
        worker::Response::empty()
    }
}

thread_local! {
    /// The state of the isolate. The configuration is part of the deployment, so it cannot change while an isolate lives.
    static STATE: OnceCell<State> = const { OnceCell::new() };
    /// The holder of the feed that is near to the isolate's first client, and so to the isolate.
    static HOLDER: OnceCell<Option<Rc<dyn FeedHolder>>> = const { OnceCell::new() };
}

#[event(start)]
fn start() {
    crate::platform::log::init();
    // The worker crate's own hook marks the instance as broken, so that the next call gets a new one. It must run,
    // too, and `set_once` would replace it.
    let mark_as_broken = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        console_error_panic_hook::hook(info);
        mark_as_broken(info);
    }));
}

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let holder = holder(&env, &request);
    let request = message::read(&request);
    message::write(match app(env, Rc::new(WaitUntil(context))) {
        Ok(app) => entry::handle(&App { holder, ..app }, &request).await,
        Err(message) => entry::misconfigured(&request, &message, &WallClock, &WebCrypto),
    })
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let app = match app(env, Rc::new(NoBackground)) {
        Ok(app) => app,
        Err(message) => return log::error!("the configuration is wrong, so nothing is swept: {message}"),
    };
    match app.sweep(entry::chores()).await {
        Ok(swept) => {
            let size = app.database.size_bytes().unwrap_or_default();
            log::info!("swept: {swept:?}; the database has {size} bytes");
            app.note_size();
        }
        Err(error) => log::error!("the sweep stopped early and goes on at the next one: {error:?}"),
    }
}

/// A background for sweeps, which leave no work behind.
struct NoBackground;

impl Background for NoBackground {
    fn spawn(&self, _work: LocalFuture<'static, ()>) {}
}

/// Returns the holder of the feed for this isolate.
fn holder(env: &Env, request: &web_sys::Request) -> Option<Rc<dyn FeedHolder>> {
    HOLDER.with(|holder| {
        let find = || RegionalHolder::find(env, message::region(request)).map(|holder| Rc::new(holder) as _);
        holder.get_or_init(find).clone()
    })
}

/// Builds the core on this platform.
///
/// # Errors
/// A message about the wrong variable.
fn app(env: Env, background: Rc<dyn Background>) -> Result<App, String> {
    let env = Rc::new(env);
    let (config, extensions, isolate, size) = STATE.with(|state| {
        if let Some(state) = state.get() {
            return Ok::<_, String>(state.clone());
        }
        let get = |name: &str| env.var(name).ok().map(|value| value.to_string());
        let config = Config::read(get)?;
        entry::check(&config.catalogue)?;
        let extensions = entry::extensions(get)?;
        Ok(state.get_or_init(|| (Rc::new(config), extensions, Rc::default(), Rc::default())).clone())
    })?;
    Ok(App {
        database: Rc::new(D1 { env: Rc::clone(&env), size }),
        holder: None,
        cache: Rc::new(Kv(Rc::clone(&env))),
        clock: Rc::new(WallClock),
        entropy: Rc::new(WebCrypto),
        background,
        upstream: Rc::new(Fetcher(Rc::clone(&env))),
        limiter: Rc::new(RateLimits(env)),
        signatures: Rc::new(Subtle),
        config,
        extensions,
        isolate,
    })
}
