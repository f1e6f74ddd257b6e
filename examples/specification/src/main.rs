//! The command line of the specification, `dhenara run agent … --previous-run-id … --entry-point …`, with the
//! specification's agent built in:
//!
//! `cargo run --bin specification -- run agent my_agent --project-root DIR`

use std::process::ExitCode;

fn main() -> ExitCode {
    match specification::my_agent() {
        Ok(agent) => dad_cli::App::new()
            .name(env!("CARGO_BIN_NAME"))
            .agent("my_agent", agent)
            .run(),
        Err(_) => ExitCode::from(dad_cli::exit_code::USAGE),
    }
}
