//! The costs of looking at runs: a list of very many, and one with very many steps.
//!
//! The many runs are copies of one that the library made, under ids of their own; the run with many steps is really run,
//! over a loop. Both lie in memory where the system has such a place, so that what remains is the cost of the program
//! and of the system calls. Each question is asked of the library, of the `dhenara` command as a process, and of `dhenara view`.
//!
//! Started by `cargo xtask bench runs`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement is printed"
)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use async_trait::async_trait;
use dhenara::definition::NodeBuilder;
use dhenara::run::{Dirs, RunView, Timeline, TimelineOptions};
use dhenara::types::Timestamp;
use dhenara::{
    BindContext, Bound, BoundStep, FlowBuilder, FlowDefinition, FlowRunner, ForEachBuilder, Node,
    NodeContext, NodeError, NodeOutput, NodeRegistry, NodeType, RunContext, World,
};
use serde_json::{Value, json};
use xtask::bench;

/// Any failure ends the measurement.
type Outcome<T> = Result<T, Box<dyn Error>>;

const MEMORY: &str = "/dev/shm";

/// The options of a measurement.
struct Options {
    runs: usize,
    steps: usize,
    rounds: usize,
    /// The command, built for release.
    dhenara: PathBuf,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match options(&args).and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(args: &[String]) -> Outcome<Options> {
    let mut options = Options {
        runs: 10_000,
        steps: 100_000,
        rounds: 5,
        dhenara: PathBuf::new(),
    };
    bench::options(args, |name, value| {
        match name {
            "--runs" => options.runs = bench::count(value)?,
            "--steps" => options.steps = bench::count(value)?,
            "--rounds" => options.rounds = bench::count(value)?,
            "--dhenara" => options.dhenara = value.into(),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(options)
}

fn measure(options: &Options) -> Outcome<()> {
    let memory = Path::new(MEMORY);
    let place = if memory.is_dir() {
        tempfile::tempdir_in(memory)?
    } else {
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?
    };
    let (many, long) = (place.path().join("many"), place.path().join("long"));
    for project in [&many, &long] {
        make_dir(project)?;
    }
    eprintln!("{} runs", options.runs);
    let model = execute(&many, &looped(2)?)?;
    for number in 1..options.runs {
        copy_run(&model, number)?;
    }
    eprintln!("a run of {} steps", options.steps);
    let run = execute(&long, &looped(options.steps)?)?;

    println!("                               median   peak memory");
    let dirs = Dirs::new(&many, None, None)?;
    let list = || -> Outcome<()> {
        let found = dirs.catalog().list()?.len();
        same(found, options.runs)
    };
    reported("Catalog::list", median(options.rounds, list)?, None);
    let view = || -> Outcome<()> { same(RunView::open(&run)?.steps().count(), options.steps) };
    reported("RunView::open", median(options.rounds, view)?, None);
    // `last` is none of a user without a key.
    let name = run.file_name().unwrap_or_default().to_string_lossy();
    let timeline = || -> Outcome<()> {
        let timeline = Timeline::read(&run, &TimelineOptions::default(), Timestamp::now())?;
        same(timeline.rows.len(), 2)
    };
    reported("Timeline::read", median(options.rounds, timeline)?, None);
    for (title, project, words) in [
        ("dhenara runs list", &many, &["runs", "list"][..]),
        ("dhenara runs cost", &many, &["runs", "cost", "--by", "agent"]),
        ("dhenara runs trace", &long, &["runs", "trace", &*name]),
        ("dhenara runs show", &long, &["runs", "show", &*name]),
        (
            "dhenara runs show --json",
            &long,
            &["runs", "show", &*name, "--json"],
        ),
    ] {
        let mut peak = None;
        let called = || -> Outcome<()> {
            peak = peak.max(call(&options.dhenara, project, words)?);
            Ok(())
        };
        let time = median(options.rounds, called)?;
        reported(title, time, peak);
    }
    let of_run = format!("runs/{name}");
    let (rounds, middle) = (
        format!("{}.rounds", RunView::open(&run)?.root_id),
        options.steps / 2,
    );
    let nodes = format!("{of_run}/children?of={rounds}&from={middle}");
    let step = format!("{of_run}/step?path={rounds}.iter_{middle}.step");
    viewed(options, &many, &["runs"])?;
    viewed(
        options,
        &long,
        &[&of_run, &nodes, &step, &format!("{of_run}/timeline")],
    )
}

/// Measures the answers of `dhenara view`: the first one of each kind, which reads what the others find in memory, and the median of
/// more. The memory is that of the server at its largest.
fn viewed(options: &Options, project: &Path, targets: &[&str]) -> Outcome<()> {
    let mut server = Server::start(&options.dhenara, project)?;
    for target in targets {
        let kind = target.rsplit('/').next().unwrap_or_default();
        let kind = kind.split('?').next().unwrap_or_default();
        let kind = if kind.starts_with("run_") { "RUN" } else { kind };
        let first = median(1, || server.ask(target))?;
        reported(&format!("view: first {kind}"), first, server.peak_kib());
        let more = median(options.rounds, || server.ask(target))?;
        reported(&format!("view: {kind}"), more, server.peak_kib());
    }
    Ok(())
}

/// A server of the page, with a session.
struct Server {
    child: Child,
    host: String,
    key: String,
}

impl Server {
    fn start(dhenara: &Path, project: &Path) -> Outcome<Self> {
        let mut child = Command::new(dhenara)
            .args(["view", "--no-open"])
            .current_dir(project)
            .env("DHENARA_STATE_DIR", project.join(".state"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut line = || -> Outcome<String> { Ok(lines.next().ok_or("the server says no address")??) };
        let (address, file) = (line()?, line()?);
        let host = address.trim_start_matches("http://").trim_end_matches('/');
        let mut server = Self {
            child,
            host: host.to_owned(),
            key: String::new(),
        };
        let file = fs::read_to_string(file)?;
        let code = between(&file, "name=\"code\" value=\"").ok_or("the file has no code")?;
        let body = format!("code={code}");
        let length = body.len();
        let opened = server.send(
            &format!("POST /session HTTP/1.1\r\nContent-Length: {length}"),
            &body,
        )?;
        let key = between(&opened, "name=\"dhenara-session\" content=\"").ok_or("there is no session")?;
        key.clone_into(&mut server.key);
        Ok(server)
    }

    /// Asks for an address, and reads the whole answer.
    fn ask(&mut self, target: &str) -> Outcome<()> {
        let head = format!("GET /api/v1/{target} HTTP/1.1\r\nX-Dhenara-Session: {}", self.key);
        let answer = self.send(&head, "")?;
        if answer.starts_with("HTTP/1.1 200 ") {
            return Ok(());
        }
        Err(format!("`{target}`: {answer}").into())
    }

    fn send(&self, head: &str, body: &str) -> Outcome<String> {
        let mut stream = TcpStream::connect(&self.host)?;
        let rest = format!("Host: {}\r\nConnection: close\r\n\r\n{body}", self.host);
        stream.write_all(format!("{head}\r\n{rest}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn peak_kib(&self) -> Option<u64> {
        peak_kib(&format!("/proc/{}/status", self.child.id()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with the measurement, and has nothing to keep.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// The value of an attribute whose beginning is known.
fn between<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once('"')?.0)
}

fn reported(title: &str, time: Duration, peak_kib: Option<u64>) {
    let peak = peak_kib.map_or("n/a".to_owned(), |kib| format!("{} MiB", kib / 1024));
    println!("{title:<26} {:>8.1} ms {peak:>13}", time.as_secs_f64() * 1e3);
}

fn same(found: usize, wanted: usize) -> Outcome<()> {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{found} were found, there are {wanted}").into())
    }
}

/// The median time of something that is done once before it is measured, so that its files are in memory.
fn median(rounds: usize, mut act: impl FnMut() -> Outcome<()>) -> Outcome<Duration> {
    act()?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        act()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

/// Calls the command, and watches how much memory it has. Linux only.
fn call(dhenara: &Path, project: &Path, words: &[&str]) -> Outcome<Option<u64>> {
    let mut child = Command::new(dhenara)
        .args(words)
        .arg("--project-root")
        .arg(project)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start `{}`: {error}", dhenara.display()))?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    loop {
        if let Some(ended) = child.try_wait()? {
            return if ended.success() {
                Ok(peak)
            } else {
                Err(format!("`dhenara {}` ended with {ended}", words.join(" ")).into())
            };
        }
        peak = peak.max(peak_kib(&status));
        thread::sleep(Duration::from_millis(1));
    }
}

fn peak_kib(status: &str) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// A node that does nothing.
#[derive(Default)]
struct Nothing;

impl Node for Nothing {
    type Settings = ();
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "nothing";

    fn bind(&self, (): (), _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl BoundStep for Nothing {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        Ok(NodeOutput::new(json!({})))
    }

    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Pure)
    }
}

/// A loop of so many steps.
fn looped(steps: usize) -> Outcome<FlowDefinition> {
    let node = NodeBuilder::new(NodeType::new(Nothing::TYPE), json!({}));
    let body = FlowBuilder::new().node("step", node);
    let rounds = ForEachBuilder::new(format!("$expr{{ range({steps}) }}"), body);
    Ok(FlowBuilder::new().for_each("rounds", rounds).build()?)
}

/// Runs a flow in a project and gives its run directory.
fn execute(project: &Path, flow: &FlowDefinition) -> Outcome<PathBuf> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let context = RunContext::builder("flow", project)
            .unmasked()
            .nodes(NodeRegistry::new().register::<Nothing>())
            .build()?;
        Ok(FlowRunner::new(flow.clone(), context).run().await?.run_dir)
    })
}

/// Copies a run under another id.
/// Copies a run to the bytes, for each line of its journal holds the sum of the one before; a list takes it as a run that was renamed.
fn copy_run(model: &Path, number: usize) -> Outcome<()> {
    let copy = format!("run_20251123_{number:06}_{:06x}", number % 0x0100_0000);
    copy_dir(model, &model.with_file_name(&copy))
}

fn copy_dir(from: &Path, to: &Path) -> Outcome<()> {
    make_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            copy_file(&entry.path(), &target)?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "copies for a measurement")]
fn make_dir(path: &Path) -> Outcome<()> {
    Ok(fs::create_dir(path)?)
}

#[expect(clippy::disallowed_methods, reason = "copies for a measurement")]
fn copy_file(from: &Path, to: &Path) -> Outcome<()> {
    fs::copy(from, to)?;
    Ok(())
}
