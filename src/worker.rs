//! The Worker's events: wires the platform to the core and does nothing else.

use std::{
    cell::{Cell, OnceCell},
    panic,
    rc::Rc,
};

use bitting_keys::{
    app::{App, config::Config, extensions::Extensions, isolate::Isolate},
    ports::{Background, LocalFuture},
};
use worker::{Context, Env, ScheduleContext, ScheduledEvent, event};

use crate::{
    entry,
    platform::{
        d1::D1,
        kv::Kv,
        limiter::RateLimits,
        message,
        system::{WaitUntil, WallClock, WebCrypto},
        upstream::Fetcher,
        verifier::Subtle,
    },
};

/// The state of an isolate: the configuration, the other parts' settings, its memory, and the size of the database.
type State = (Rc<Config>, Extensions, Rc<Isolate>, Rc<Cell<Option<i64>>>);

thread_local! {
    /// The state of the isolate. The configuration is part of the deployment, so it cannot change while an isolate lives.
    static STATE: OnceCell<State> = const { OnceCell::new() };
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
async fn fetch(request: worker::Request, env: Env, context: Context) -> worker::Result<worker::Response> {
    let request = message::read(&request);
    message::write(match app(&env, Rc::new(WaitUntil(context))) {
        Ok(app) => entry::handle(&app, &request).await,
        Err(message) => entry::misconfigured(&request, &message, &WallClock, &WebCrypto),
    })
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let app = match app(&env, Rc::new(NoBackground)) {
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

/// Builds the core on this platform.
///
/// # Errors
/// A message about the wrong variable.
fn app(env: &Env, background: Rc<dyn Background>) -> Result<App, String> {
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
        database: Rc::new(D1 { env: env.clone(), size }),
        cache: Rc::new(Kv(env.clone())),
        clock: Rc::new(WallClock),
        entropy: Rc::new(WebCrypto),
        background,
        upstream: Rc::new(Fetcher(env.clone())),
        limiter: Rc::new(RateLimits(env.clone())),
        verifier: Rc::new(Subtle),
        config,
        extensions,
        isolate,
    })
}
