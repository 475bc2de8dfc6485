//! A server for `side-by-side.sh` that takes the same header again and again: any signed POST is a restart that went well, of
//! which it says, as `nest serve` does, which audio room it has made.
//! Nothing but the standard library, so that `rustc -O` makes it in a second.
#![allow(clippy::print_stdout, reason = "the script reads its address")]

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

/// Shaped like a host's token; nobody checks it here.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJob3N0IiwiZXhwIjo0MTAyNDQ0ODAwfQ.c2lnbmF0dXJl";

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || serve(&stream));
    }
    Ok(())
}

/// Answers one connection's requests until it is closed.
fn serve(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next() {
        let request = request?;
        let mut signed = false;
        for line in lines.by_ref() {
            // None of what is sent here has a body.
            let line = line?;
            signed |= line.to_ascii_lowercase().starts_with("authorization: nostr ");
            if line.is_empty() {
                break;
            }
        }
        let room = request.split(' ').nth(1).and_then(|path| path.split('/').nth(4)).unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let (status, body) = if signed && request.starts_with("POST ") {
            (
                "200 OK",
                format!(
                    r#"{{"roomId":"{room}","endpoints":["wss+livekit://127.0.0.1:7880"],"token":"{TOKEN}","message":"Nest restarted successfully","room":{{"sid":"RM_{now}","sidBefore":"RM_0","createdAtMs":{now}}}}}"#
                ),
            )
        } else {
            ("401 Unauthorized", r#"{"error":"not signed"}"#.to_owned())
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        (&*stream).write_all(answer.as_bytes())?;
    }
    Ok(())
}
