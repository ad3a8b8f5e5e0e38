//! The clock of a follower.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that is never set back, and counts while the machine sleeps. The monotonic clock may stand still then; the wall
/// clock tells, by stepping ahead of it.
pub(crate) fn elapsed() -> impl FnMut() -> f64 + Send {
    let started = Instant::now();
    let mut ahead = wall_ms();
    let mut slept = 0.0;
    move || {
        let monotonic = ms(started.elapsed());
        let step = wall_ms() - monotonic - ahead;
        ahead += step;
        if step > 50.0 {
            slept += step;
        }
        monotonic + slept
    }
}

fn wall_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, ms)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
