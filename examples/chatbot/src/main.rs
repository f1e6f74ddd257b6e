//! `cargo run -p chatbot`, or without a model `cargo run -p chatbot -- --offline`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use dhenara::core::SecretRegistry;
use dhenara::models::{Credentials, HttpClient, ModelCatalog, Models, ReplayClient};
use dhenara::{AgentRunner, RunContext, builtin_nodes};

#[tokio::main]
async fn main() -> ExitCode {
    let offline = std::env::args().any(|argument| argument == "--offline");
    match talk(offline).await {
        Ok(last) => {
            anstream::println!("{}", dhenara::terminal::printable(&last));
            ExitCode::SUCCESS
        }
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Has a conversation and returns what the model said last.
async fn talk(offline: bool) -> Result<String, Box<dyn std::error::Error>> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let secrets = SecretRegistry::new();
    let models = if offline {
        Models::new(ReplayClient::new(project.join("cassettes/chatbot"), |_| {}))
    } else {
        let credentials = Credentials::new(project, None, secrets.clone());
        Models::new(HttpClient::new(ModelCatalog::load(project)?, credentials))
    };
    let context = RunContext::builder("chatbot_root", project)
        .nodes(builtin_nodes())
        .secrets(secrets)
        .resource(Arc::new(models))
        .on(chatbot::ask)
        .build()?;
    let report = AgentRunner::new(chatbot::agent()?, context).run().await?;
    let last = report.output.unwrap_or_default();
    Ok(last.as_str().unwrap_or_default().to_owned())
}
