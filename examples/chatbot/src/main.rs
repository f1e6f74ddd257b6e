//! `cargo run -p chatbot`, or without a model `cargo run -p chatbot -- --offline`.

use std::path::Path;
use std::process::ExitCode;

use chatbot::Partner;

#[tokio::main]
async fn main() -> ExitCode {
    let partner = if std::env::args().any(|argument| argument == "--offline") {
        Partner::Recorded
    } else {
        Partner::Model
    };
    match chatbot::talk(Path::new(env!("CARGO_MANIFEST_DIR")), partner).await {
        Ok(last) => {
            anstream::println!("{}", dhenara::terminal::printable(&last));
            ExitCode::SUCCESS
        }
        Err(error) => {
            // With its causes: an error of a run says its place, and its source what happened there.
            let error = dhenara::ErrorInfo::from_error("talk", &*error);
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
