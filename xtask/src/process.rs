//! Programs that run until they end, or until this one does.

use std::env;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Result;

/// The process groups that run, each with the signal that ends it.
static RUNNING: Mutex<Vec<(Pid, Signal)>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<(Pid, Signal)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends this program, and all that it started, when a signal asks it to end.
pub(crate) fn end_on_signals() -> Result {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            exit(128 + signal);
        }
    });
    Ok(())
}

/// Ends this program and every process group that it started.
pub(crate) fn exit(code: i32) -> ! {
    // Held to the end, so that no other thread starts a program that nothing would end.
    let running = running();
    for (group, signal) in running.iter() {
        // An error here says that the group has ended meanwhile.
        let _ = killpg(*group, *signal);
    }
    std::process::exit(code)
}

/// Prints what failed and ends this program.
pub(crate) fn fail(message: &str) -> ! {
    eprintln!("\nFAILED: {message}");
    exit(1)
}

/// Returns a command of `words`, which finds the programs that npm has installed.
pub(crate) fn command(words: &[&str]) -> Result<Command> {
    let (program, arguments) = words.split_first().ok_or("a command needs a program")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env("PATH", path()?)
        .env("WRANGLER_SEND_METRICS", "false")
        .env("WRANGLER_HIDE_BANNER", "true")
        .env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
    Ok(command)
}

/// Returns `PATH` with npm's programs before the machine's: wrangler needs a newer Node.js than the
/// machine may have, so npm installs one.
fn path() -> Result<std::ffi::OsString> {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let installed: PathBuf = env::current_dir()?.join("node_modules/.bin");
    Ok(env::join_paths([installed].into_iter().chain(env::split_paths(&inherited)))?)
}

/// Starts a program in a process group of its own, which gets the signal `end` when this program ends.
pub(crate) fn start(mut command: Command, end: Signal) -> Result<Running> {
    let mut running = running();
    let child =
        command.process_group(0).spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let group = Pid::from_raw(i32::try_from(child.id())?);
    running.push((group, end));
    Ok(Running { child, group })
}

/// A program that was started.
pub(crate) struct Running {
    child: Child,
    group: Pid,
}

impl Running {
    /// Waits until the program ends.
    pub(crate) fn wait(mut self) -> Result<std::process::ExitStatus> {
        let status = self.child.wait();
        running().retain(|(group, _)| *group != self.group);
        Ok(status?)
    }
}

/// Runs a program to its end and returns what it wrote.
pub(crate) fn run(words: &[&str]) -> Result<String> {
    run_with(words, &[])
}

/// Runs a program with these variables to its end and returns what it wrote.
pub(crate) fn run_with(words: &[&str], variables: &[(&str, &str)]) -> Result<String> {
    // One pipe for both, so that errors stand between the lines that they belong to.
    let (mut reader, writer) = io::pipe()?;
    let mut command = command(words)?;
    command.envs(variables.iter().copied()).stdout(writer.try_clone()?).stderr(writer);
    // Killed outright: npm goes on for a while when asked to end, and would meet the next run's npm.
    let running = start(command, Signal::SIGKILL)?;
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    let status = running.wait()?;
    let output = String::from_utf8_lossy(&output).into_owned();
    if status.success() {
        Ok(output)
    } else {
        Err(format!("{output}\n$ {}\nended with {status}", words.join(" ")).into())
    }
}
