//! As much of HTTP as it takes to ask a server on this machine.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::Result;

/// An answer of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The body, as text.
    pub(crate) body: String,
}

/// Sends a request whose head, after the first line, has these lines, and returns the answer.
pub(crate) fn ask(port: u16, method: &str, path: &str, lines: &[&str], body: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n")?;
    for line in lines {
        write!(stream, "{line}\r\n")?;
    }
    write!(stream, "content-length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| format!("no HTTP: {answer:?}").into())
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    Some(Answer { status, body: if chunked { joined(body)? } else { body.to_owned() } })
}

/// Returns the text whose chunks these are.
fn joined(mut chunks: &str) -> Option<String> {
    let mut text = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n")?;
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(text);
        }
        text.push_str(rest.get(..length)?);
        chunks = rest.get(length..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, parse};

    #[test]
    fn parse_joins_chunks() {
        let answer = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(parse(answer), Some(Answer { status: 201, body: "abcd".to_owned() }));
    }

    #[test]
    fn parse_takes_a_plain_body_as_it_is() {
        let answer = "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse(answer), Some(Answer { status: 409, body: "{}".to_owned() }));
        assert_eq!(parse(""), None);
    }
}
