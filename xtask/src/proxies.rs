//! Our client through a server of others: LiteLLM's proxy before the strict servers.
#![expect(clippy::disallowed_methods, reason = "the files are no part of a run")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::clients::{Server, installed};
use crate::process::{TaskError, run as run_command};
use crate::workspace_root;

const REQUIREMENTS: &str = "tests/clients/proxies.txt";

/// The time that a server has to begin.
const LONGEST_START: Duration = Duration::from_secs(120);

/// Asks the strict servers through the proxy.
///
/// # Errors
/// If one cannot be installed or does not start, or an answer is not what it should be.
pub(crate) fn run() -> Result<(), TaskError> {
    let python = installed("target/model-proxies", REQUIREMENTS)?;
    let programs = python.with_file_name("");
    let mut strict = Server::start(None)?;
    let config = workspace_root().join("target/model-proxies/litellm.yaml");
    fs::write(&config, models(&strict.url))
        .map_err(|error| TaskError(format!("cannot write the models of LiteLLM: {error}")))?;
    let port = free_port()?;
    let mut litellm = Command::new(programs.join("litellm"));
    litellm
        .arg("--config")
        .arg(&config)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    // It listens on this machine alone and holds no key of a provider.
    litellm.env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true");
    litellm.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    let outcome = asked(litellm, port, &["gpt", "claude", "gemini"]);
    let refused = strict.end()?;
    outcome?;
    if !refused.is_empty() {
        return Err(TaskError(format!(
            "the strict servers refused what LiteLLM sent:\n{refused}"
        )));
    }
    Ok(())
}

/// Starts a server, asks its models, and ends it.
fn asked(mut command: Command, port: u16, models: &[&str]) -> Result<(), TaskError> {
    command
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .spawn()
        .map_err(|error| TaskError(format!("cannot start `{name}`: {error}")))?;
    let mut running = Running(child);
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        let ended = running.0.try_wait().is_ok_and(|status| status.is_some());
        if ended || start.elapsed() > LONGEST_START {
            return Err(TaskError(format!("`{name}` does not answer at port {port}")));
        }
        sleep(Duration::from_millis(200));
    }
    let program = workspace_root().join("target/debug/through-proxy");
    run_command(
        Command::new(program)
            .arg(format!("http://127.0.0.1:{port}/v1"))
            .args(models),
    )
}

/// A server that ends when it is not needed any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            let _ = self.0.wait();
        }
    }
}

fn free_port() -> Result<u16, TaskError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(|error| TaskError(format!("no port of this machine is free: {error}")))
}

/// The models of LiteLLM, each by its provider's protocol at the strict server.
fn models(url: &str) -> String {
    let model = |name: &str, model: &str, address: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{ model: {model}, api_base: {address}, api_key: sk-strict }}\n"
        )
    };
    let gemini = "gemini-3-flash-preview";
    [
        "model_list:\n".to_owned(),
        model("gpt", "openai/gpt-4o", &format!("{url}/v1")),
        model("claude", "anthropic/claude-haiku-4-5", url),
        model(
            "gemini",
            &format!("gemini/{gemini}"),
            &format!("{url}/v1beta/models/{gemini}"),
        ),
        "litellm_settings:\n  telemetry: false\n".to_owned(),
    ]
    .concat()
}
