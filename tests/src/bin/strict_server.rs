//! A strict server of all protocols, for clients of other languages: prints its address, and a line for each request that it
//! refuses. With a path it writes the requests that came to that file. It ends when its input does.
#![expect(clippy::print_stdout, reason = "its reader is a test")]
#![expect(
    clippy::disallowed_methods,
    reason = "the file is the reader's, and no part of a run"
)]

use std::io::Read;

use dad_tests::strict_server::{Seen, StrictServer};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = StrictServer::start().await;
    println!("{}", server.uri());
    let waiting = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    waiting.await.map_err(std::io::Error::other)??;
    for refused in server.refused() {
        println!(
            "refused by {}: {}: {}",
            refused.rule, refused.message, refused.body
        );
    }
    if let Some(path) = std::env::args_os().nth(1) {
        let seen: Vec<Value> = server.seen().into_iter().map(recorded).collect();
        std::fs::write(path, format!("{:#}\n", Value::from(seen)))?;
    }
    Ok(())
}

/// A request with those headers that are the same everywhere.
fn recorded(seen: Seen) -> Value {
    const KEPT: [&str; 6] = [
        "x-task",
        "content-type",
        "anthropic-version",
        "authorization",
        "x-api-key",
        "x-goog-api-key",
    ];
    let mut headers = seen.headers;
    headers.retain(|name, _| KEPT.contains(&name.as_str()));
    json!({ "path": seen.path, "headers": headers, "body": seen.body })
}
