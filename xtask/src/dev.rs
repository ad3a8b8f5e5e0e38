//! `npm run dev`: the Worker on this machine, rebuilt on every save, with a first organization and key.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::Result;
use crate::build::{Profile, compile_tool, compile_worker, pack};
use crate::loopback::{Answer, ask};
use crate::process::{command, exit, start};
use crate::steps::{Stopwatch, local_database, npm_packages, step, wasm_target};

const SECRETS: &str = ".dev.vars";

/// Serves until a signal ends this program, or wrangler ends by itself.
pub(crate) fn serve() -> Result {
    let watch = Stopwatch::start();
    let port = port()?;
    create_secrets()?;
    thread::scope(|scope| {
        scope.spawn(|| {
            npm_packages();
            local_database();
        });
        wasm_target();
        let tool = scope.spawn(|| step("build tool", compile_tool));
        step("Worker, dev profile", || compile_worker(Profile::Dev));
        drop(tool.join());
        step("build/", || pack(Profile::Dev));
    });

    let port_text = port.to_string();
    let words = ["wrangler", "dev", "--ip", "127.0.0.1", "--port", &port_text, "--show-interactive-dev-session=false"];
    let wrangler = start(command(&words)?, Signal::SIGTERM)?;
    thread::spawn(move || exit(wrangler.wait().ok().and_then(|status| status.code()).unwrap_or(1)));
    while ask(port, "GET", "/", &[], "").is_err() {
        thread::sleep(Duration::from_millis(100));
    }
    println!("{watch}  http://127.0.0.1:{port} answers");
    bootstrap(port)?;
    loop {
        thread::park();
    }
}

/// Returns the port, which nothing else may serve.
fn port() -> Result<u16> {
    let port = env::var("PORT").map_or(Ok(8787), |text| text.parse())?;
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(port),
        Err(error) => {
            let other = port.wrapping_add(1);
            Err(format!("Port {port} cannot be used ({error}). Another one: PORT={other} npm run dev").into())
        }
    }
}

/// Writes the file of secrets, for its owner's eyes only, unless there is one.
fn create_secrets() -> Result {
    if Path::new(SECRETS).exists() {
        return Ok(());
    }
    let mut random = fs::File::open("/dev/urandom")?;
    let mut parts = [[0; 16]; 2];
    for part in &mut parts {
        random.read_exact(part)?;
    }
    let [first, second] = parts.map(u128::from_ne_bytes);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(SECRETS)?;
    writeln!(file, "OPERATOR_SECRET={first:032x}{second:032x}")?;
    Ok(())
}

/// Creates the first organization and key, and prints how to use them.
fn bootstrap(port: u16) -> Result {
    let secrets = fs::read_to_string(SECRETS)?;
    let authorization = format!("authorization: Bearer {}", operator_secret(&secrets).unwrap_or_default());
    let body = r#"{"organization":"Local","email":"owner@localhost","key_name":"first key"}"#;
    let lines = [authorization.as_str(), "content-type: application/json"];
    let Answer { status, body } = ask(port, "POST", "/v1/bootstrap", &lines, body)?;
    match (status, field(&body, "key"), field(&body, "sign_in_link")) {
        (201, Some(key), Some(link)) => {
            println!("\nThe settings pages, signed in by a link that works once:\n\n  {link}");
            println!("\nThe first key, shown this once:\n\n  {key}\n\nTry it:\n");
            println!("  curl -H \"Authorization: Bearer {key}\" http://127.0.0.1:{port}/v1/keys/self\n");
        }
        (409, ..) => println!(
            "\nAlready set up; the first key was shown then. To start anew: stop, rm -r .wrangler/state, npm run dev.\n"
        ),
        _ => eprintln!("\nPOST /v1/bootstrap answered {status}: {body}\n"),
    }
    Ok(())
}

/// Returns the operator's secret of a file of lines `NAME=value` or `NAME="value"`.
fn operator_secret(secrets: &str) -> Option<&str> {
    let value =
        secrets.lines().find_map(|line| line.strip_prefix("OPERATOR_SECRET")?.trim_start().strip_prefix('='))?;
    Some(value.trim().trim_matches('"'))
}

/// Returns a field of a JSON object whose text has no escapes, as keys and links have none.
fn field<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    object.split_once(&format!("\"{name}\":\""))?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::{field, operator_secret};

    #[test]
    fn operator_secret_is_found_with_and_without_quotes() {
        assert_eq!(operator_secret("A=1\nOPERATOR_SECRET=abc-_\n"), Some("abc-_"));
        assert_eq!(operator_secret("OPERATOR_SECRET = \"a b\"\r\n"), Some("a b"));
        assert_eq!(operator_secret("KEY_PEPPER=1"), None);
    }

    #[test]
    fn field_finds_the_whole_name_alone() {
        assert_eq!(field(r#"{"key_name":"a","key":"bit_1"}"#, "key"), Some("bit_1"));
        assert_eq!(field("{}", "key"), None);
    }
}
