//! The project's own command: `dhenara` with this project's agent built in, as `autocoder_rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match autocoder::agent() {
        Ok(agent) => dad_cli::App::new()
            .name(env!("CARGO_BIN_NAME"))
            .agent("autocoder_rs", agent)
            .run(),
        Err(problems) => {
            #[expect(clippy::print_stderr, reason = "the command has not started yet")]
            {
                eprintln!("{problems}");
            }
            ExitCode::from(dad_cli::exit_code::USAGE)
        }
    }
}
