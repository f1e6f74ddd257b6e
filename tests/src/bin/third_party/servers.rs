//! The servers, as processes of their own that end with this program.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dad_tests::strict_server::StrictServer;
use serde_json::{Value, json};

use crate::models::Server;

/// The key that litellm wants; it refuses to start with a short one, or with none.
pub(crate) const KEY: &str = "sk-third-party-0123456789abcdef0123456789abcdef";

/// The longest time that a server may take to start: litellm imports several hundred modules.
const LONGEST_START: Duration = Duration::from_secs(180);

/// llmock and the strict server, and litellm in front of both.
pub(crate) struct Servers {
    pub(crate) llmock: Process,
    strict: StrictServer,
    pub(crate) litellm: Process,
}

impl Servers {
    /// Starts all and waits until they answer.
    pub(crate) async fn start(programs: &Path, work: &Path) -> Result<Self, String> {
        let llmock = Process::start("llmock", programs, work, |command, port| {
            command.args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()]);
            // With a pause between the events of a stream, it sees that a client has hung up.
            command.args(["--stream-chunk-delay-ms", "20"]);
        })?;
        let strict = StrictServer::start().await;
        let config = work.join("litellm.json");
        write(&config, &litellm_config(llmock.port, &strict.uri()).to_string())?;
        let litellm = Process::start("litellm", programs, work, |command, port| {
            command
                .arg("--config")
                .arg(&config)
                .args(["--host", "127.0.0.1", "--port", &port.to_string()])
                .env("LITELLM_MASTER_KEY", KEY)
                .env("LITELLM_TELEMETRY", "False")
                // Otherwise it asks GitHub for prices when it starts.
                .env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        })?;
        llmock.await_answer("/health")?;
        litellm.await_answer("/health/liveliness")?;
        Ok(Self {
            llmock,
            strict,
            litellm,
        })
    }

    /// The judgement of the strict server on what litellm made of the requests of the client.
    pub(crate) fn strict_verdict(&self) -> Result<String, String> {
        let requests = self.strict.seen().len();
        let refused: Vec<String> = self
            .strict
            .refused()
            .iter()
            .map(|refused| format!("{}: {} {}", refused.rule, refused.message, refused.body))
            .collect();
        match (requests, refused.as_slice()) {
            (0, _) => Err("no request came".to_owned()),
            (_, []) => Ok(format!("{requests} requests, none refused")),
            _ => Err(refused.join("; ")),
        }
    }
}

/// JSON is YAML too. Without cooldown, a fault of one check does not close the model for the next.
fn litellm_config(llmock: u16, strict: &str) -> Value {
    let models = Server::ALL.into_iter().filter_map(|server| {
        let (model, address) = server.behind_litellm(llmock, strict)?;
        Some(json!({
            "model_name": server.name(),
            "litellm_params": { "model": model, "api_base": address, "api_key": "unused" },
        }))
    });
    json!({
        "model_list": models.collect::<Vec<_>>(),
        "litellm_settings": { "telemetry": false, "num_retries": 0 },
        "router_settings": { "disable_cooldowns": true },
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the directory of this program is no run"
)]
fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the directory of this program is no run"
)]
fn log_file(path: &Path) -> Result<File, String> {
    File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A server that is ended when this is dropped.
pub(crate) struct Process {
    name: &'static str,
    pub(crate) port: u16,
    log: PathBuf,
    child: std::sync::Mutex<Child>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Process {
    fn start(
        name: &'static str,
        programs: &Path,
        work: &Path,
        prepare: impl FnOnce(&mut Command, u16),
    ) -> Result<Self, String> {
        let port = free_port().map_err(|error| format!("there is no free port on loopback: {error}"))?;
        let log = work.join(format!("{name}.log"));
        let file = log_file(&log)?;
        let same = file.try_clone().map_err(|error| error.to_string())?;
        let program = programs.join(name);
        let mut command = Command::new(&program);
        command.stdin(Stdio::null()).stdout(file).stderr(same);
        // No proxy reaches a server of this machine.
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        prepare(&mut command, port);
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        Ok(Self {
            name,
            port,
            log,
            child: std::sync::Mutex::new(child),
        })
    }

    fn await_answer(&self, path: &str) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            if self.get(path).is_ok() {
                return Ok(());
            }
            let mut child = self.child.lock().map_err(|error| error.to_string())?;
            let ended = child.try_wait().ok().flatten();
            drop(child);
            let problem = match ended {
                Some(status) => format!("ended with {status} before it answered"),
                None if begun.elapsed() > LONGEST_START => "did not answer in time".to_owned(),
                None => {
                    std::thread::sleep(Duration::from_millis(200));
                    continue;
                }
            };
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            return Err(format!(
                "{} {problem}; the end of {}:\n{}",
                self.name,
                self.log.display(),
                last.join("\n")
            ));
        }
    }

    /// Forgets everything that was seen, and queues behaviours for the next requests.
    pub(crate) fn script(&self, behaviours: &[Value]) -> Result<(), String> {
        self.post("/_llmock/reset", &json!({}))?;
        if behaviours.is_empty() {
            return Ok(());
        }
        self.post("/_llmock/scenario", &json!({ "behaviors": behaviours }))
            .map(|_| ())
    }

    /// Its judgement of the client since the last script.
    pub(crate) fn verdict(&self) -> Result<Value, String> {
        self.get("/_llmock/verdict")
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        self.exchange(&format!("GET {path} HTTP/1.0\r\n\r\n"))
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let body = body.to_string();
        let length = body.len();
        self.exchange(&format!(
            "POST {path} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    /// One exchange by HTTP/1.0, whose answer ends with its connection. The client under test is not used for it.
    fn exchange(&self, request: &str) -> Result<Value, String> {
        let failed = |error: std::io::Error| format!("{} does not answer: {error}", self.name);
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map_err(failed)?;
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .map_err(failed)?;
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split_whitespace().nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            return Err(format!("{} answers with {status}: {body}", self.name));
        }
        Ok(serde_json::from_str(body).unwrap_or_default())
    }
}

/// A port that was free a moment ago.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
