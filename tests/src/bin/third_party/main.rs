//! Drives the client of models against servers that others wrote: `third-party BIN WORK`, where `BIN` has the programs `litellm`
//! and `llmock`, and `WORK` is a directory for their logs.
//!
//! litellm translates each of our protocols to the protocol of the model behind it, and back. That model is llmock, or the strict
//! server, which by each protocol refuses what its provider refuses. Prints a table, and fails if one of its rows does.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose reader sees its output"
)]

mod exchanges;
mod faults;
mod models;
mod servers;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::models::{ROUTES, Server, left_out};
use crate::servers::Servers;

/// A check of one protocol at one server, and its result: what was seen, or what was wrong.
struct Row {
    server: &'static str,
    protocol: &'static str,
    check: String,
    seen: Result<String, String>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [programs, work] = words.as_slice() else {
        eprintln!("usage: third-party BIN WORK");
        return ExitCode::from(2);
    };
    match check_all(Path::new(programs), Path::new(work)).await {
        Ok(rows) => report(&rows),
        Err(problem) => {
            eprintln!("third-party servers: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn check_all(programs: &Path, work: &Path) -> Result<Vec<Row>, String> {
    let begun = Instant::now();
    let servers = Servers::start(programs, work).await?;
    println!("the servers answer after {:.1} s", begun.elapsed().as_secs_f64());
    let mut rows = Vec::new();
    for server in Server::ALL {
        for route in &ROUTES {
            match left_out(server, route) {
                None => exchanges::check(&servers, server, route, &mut rows).await,
                Some(reason) => println!("left out: {:<14} {:<16} {reason}", server.name(), route.name),
            }
        }
    }
    rows.push(Row {
        server: "strict",
        protocol: "all",
        check: "what litellm sent".to_owned(),
        seen: servers.strict_verdict(),
    });
    for route in &ROUTES {
        faults::check(&servers, route, &mut rows).await;
    }
    Ok(rows)
}

fn report(rows: &[Row]) -> ExitCode {
    for row in rows {
        let (mark, text) = match &row.seen {
            Ok(seen) => ("ok  ", seen),
            Err(problem) => ("FAIL", problem),
        };
        println!(
            "{mark} {:<14} {:<16} {:<31} {text}",
            row.server, row.protocol, row.check
        );
    }
    let failed = rows.iter().filter(|row| row.seen.is_err()).count();
    println!("{} checks, {failed} failed", rows.len());
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
