//! Drives one scenario and dies, or has an operation fail, at a given change of the file system:
//! `crashing PROJECT run|rerun|again|resume|prune|repair|change|change-resume|command|command-resume OPERATION die|full|io|short|torn|none`, where `short` writes half of the
//! bytes and fails, and `torn` writes half of them and dies. With `log=FILE` in the place of these, the run is one of
//! `Durability::Disk`, and every change is written to the file with what was announced before it.
//!
//! `change` is one step that changes twenty things in the directory `tree` of the project, which is a git repository.
//! `command` is two commands, one after the other, that leave the numbers of their processes in the file `ran`.
//! `repair` repairs the newest run, and accepts every result that can be accepted.
//! `rerun` starts from the newest run at an entry point, `again` without one.
//!
//! One thread, so that an operation has the same number every time. Prints how many there were.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that tests talk to"
)]

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use dad_fs::{Change, Fault, FaultInjector, Gate, Operation};
use dhenara::events::{Delivery, EventBody, Subscription};
use dhenara::run::{Dirs, Repair, RepairDecision, RetentionPolicy, UncertainStep, plan_prune};
use dhenara::types::Timestamp;
use dhenara::{
    ActiveRun, BindContext, Bound, BoundStep, ConditionalBuilder, Durability, ErrorInfo, FlowBuilder,
    FlowDefinition, FlowRunner, ForEachBuilder, Node, NodeBuilder, NodeContext, NodeError, NodeOutput,
    NodeType, RepeatBuilder, RunContext, RunEnd, World,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A node that makes paid exchanges: each leaves a line in the file `exchanges` of the project.
#[derive(Debug, Default)]
struct Paid;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct PaidSettings {
    text: String,
    exchanges: u32,
}

impl Node for Paid {
    type Settings = PaidSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "paid";

    fn bind(&self, settings: PaidSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for PaidSettings {
    async fn world(&self) -> Result<World, NodeError> {
        // A step that changes something closes its batch of records, one that is only paid for does it by its memos.
        Ok(match self.exchanges {
            2 => World::Effect,
            _ => World::Pure,
        })
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let mut answers = Vec::new();
        for number in 1..=self.exchanges {
            let request = json!({ "text": self.text, "number": number });
            let answer: Value = cx
                .memo("exchange", &request, |number| {
                    pay(cx, &format!("{} {number}", cx.path()));
                    async move { Ok(json!(number)) }
                })
                .await?;
            if let Some(log) = cx.resource::<Log>() {
                log.add(json!({ "paid": format!("{} {number}", cx.path()) }));
            }
            answers.push(answer);
        }
        Ok(NodeOutput::new(json!({ "text": self.text, "answers": answers })))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what stands for the world outside the run"
)]
fn pay(cx: &NodeContext, what: &str) {
    use io::Write;
    let root = &cx.run().scope().run_variables["project_root"];
    let file = std::path::Path::new(root.as_str().unwrap_or_default()).join("exchanges");
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
    // A line that cannot be written is missed by the test.
    let _ = opened.and_then(|mut file| writeln!(file, "{what}"));
}

fn paid(text: &str, exchanges: u32) -> NodeBuilder {
    let settings = PaidSettings {
        text: text.to_owned(),
        exchanges,
    };
    NodeBuilder::new(NodeType::from_static("paid"), settings)
}

fn flow() -> Result<FlowDefinition, dhenara::definition::Problems> {
    let round = FlowBuilder::new()
        .node("ask", paid("$expr{item}", 2))
        .conditional(
            "more",
            ConditionalBuilder::new("$expr{index > 0}")
                .when_true(FlowBuilder::new().node("again", paid("more", 1))),
        );
    let pass = FlowBuilder::new().node("try", paid("pass $expr{index}", 1));
    FlowBuilder::new()
        // Too large for the journal.
        .variable("long", "$expr{ 'x' * 5000 }")
        .for_each("rounds", ForEachBuilder::new("$expr{ ['a', 'b'] }", round))
        .repeat("passes", RepeatBuilder::new("$expr{ index == 1 }", 3, pass))
        .parallel(
            "both",
            FlowBuilder::new()
                .node("left", paid("long: $expr{len(long)}", 1))
                .node("right", paid("right", 1)),
        )
        .finally_node("last_one", paid("rounds: $expr{ len($hier{rounds.*.ask}) }", 1))
        .build()
}

/// Twenty operations of every type that changes something.
fn change_flow(project: &str) -> Result<FlowDefinition, Box<dyn std::error::Error>> {
    let edit = |path: &str, old: &str, new: &str| json!({ "type": "edit_file", "path": path, "edits": [{ "old_text": old, "new_text": new }] });
    let create =
        |path: &str, content: &str| json!({ "type": "create_file", "path": path, "content": content });
    let moving = |from: &str, to: &str| json!({ "type": "move_file", "source": from, "destination": to });
    let of = |kind: &str, path: &str| json!({ "type": kind, "path": path });
    let operations = json!([
        create("new/one.txt", "one\n"),
        create("new/deep/two.txt", "two\n"),
        create("three.txt", "three\n"),
        create("replaced.txt", "other\n"),
        create("b space.txt", "name\n"),
        edit("edit1.txt", "old", "new"),
        edit("edit2.txt", "old", "new"),
        edit("edit3.txt", "old", "older old"),
        edit("sub/edit4.txt", "old", "new"),
        edit("edit1.txt", "line 2", "second line"),
        of("delete_file", "delete1.txt"),
        of("delete_file", "delete2.txt"),
        of("delete_file", "sub/delete3.txt"),
        moving("move1.txt", "new/moved1.txt"),
        moving("move2.txt", "sub/moved2.txt"),
        edit("new/moved1.txt", "old", "new"),
        moving("directory", "new/directory"),
        of("create_directory", "empty/inside"),
        of("delete_directory", "gone"),
        edit("zuletzt.txt", "old", "new"),
    ]);
    let settings = json!({
        "base_directory": format!("{project}/tree"),
        "operations": operations,
        "stage": true,
    });
    let node = NodeBuilder::new(NodeType::FILE_OPERATION, settings);
    Ok(FlowBuilder::new().node("change", node).build()?)
}

/// Two commands that say that they ran.
fn command_flow() -> Result<FlowDefinition, Box<dyn std::error::Error>> {
    let settings = json!({ "commands": ["echo $$ >> ran"], "working_dir": "$var{project_root}" });
    let node = || NodeBuilder::new(NodeType::COMMAND, settings.clone());
    Ok(FlowBuilder::new()
        .node("first", node())
        .node("second", node())
        .build()?)
}

/// Dies or fails at one operation.
struct FaultAt {
    operation: u64,
    how: String,
}

impl FaultInjector for FaultAt {
    fn before(&self, operation: &Operation<'_>) -> Result<(), Fault> {
        if self.how == "none" {
            // Which operations write bytes, for the ways to fail in the middle of them.
            if operation.change.bytes() > 0 {
                println!("writes {}", operation.number);
            }
            return Ok(());
        }
        if operation.number != self.operation {
            return Ok(());
        }
        let half = |end| Fault::Short {
            bytes: operation.change.bytes() / 2,
            end,
        };
        match self.how.as_str() {
            // Without destructors, as if it were killed.
            "die" => std::process::exit(86),
            "torn" => Err(half(|| std::process::exit(86))),
            "full" => Err(full().into()),
            "short" => Err(half(full)),
            "io" => Err(io::Error::from_raw_os_error(5).into()),
            _ => Ok(()),
        }
    }
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(28)
}

/// Notes every change of the file system, and before it what the run had announced by then.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<Value>>>,
    announced: Arc<Mutex<Option<Subscription>>>,
}

impl Log {
    fn add(&self, line: Value) {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    fn listen(&self, run: &ActiveRun) {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        *announced = Some(run.control().bus().subscribe(100_000));
    }

    /// Notes what was published since it was called last. A handler may hear of it later, but never sooner.
    fn note_announced(&self) {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(subscription) = &mut *announced else {
            return;
        };
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(delivery)) = std::pin::pin!(subscription.next()).poll(&mut context) {
            let Delivery::Event(event) = delivery else {
                continue;
            };
            let step = match &event.body {
                EventBody::StepEnded(ended) => Some(ended.path.to_string()),
                _ => None,
            };
            let ended = matches!(event.body, EventBody::RunEnded(_));
            self.add(json!({ "announced": event.seq, "step": step, "ended": ended }));
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "what the test reads, not a part of the run"
    )]
    fn write_to(&self, file: &str) {
        self.note_announced();
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        // A log that is missing is missed by the test.
        let _ = std::fs::write(file, text);
    }
}

impl FaultInjector for Log {
    fn before(&self, operation: &Operation<'_>) -> Result<(), Fault> {
        self.note_announced();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let change = match operation.change {
            Change::CreateDir => json!({ "change": "create_dir" }),
            Change::OpenFile => json!({ "change": "open_file" }),
            Change::Write(bytes) => json!({ "change": "write", "text": text(bytes) }),
            Change::Overwrite(bytes) => json!({ "change": "overwrite", "text": text(bytes) }),
            Change::Append(bytes) => json!({ "change": "append", "text": text(bytes) }),
            Change::Truncate(len) => json!({ "change": "truncate", "len": len }),
            Change::Copy(from) => json!({ "change": "copy", "from": from.path() }),
            Change::Rename(from) => json!({ "change": "rename", "from": from.path() }),
            Change::Link(from) => json!({ "change": "link", "from": from.path() }),
            Change::MakeLink(target) => json!({ "change": "make_link", "text": target }),
            Change::SetAttributes => json!({ "change": "set_attributes" }),
            Change::Remove => json!({ "change": "remove" }),
            Change::SyncFile => json!({ "change": "sync_file" }),
            Change::SyncDir => json!({ "change": "sync_dir" }),
        };
        let mut line = change;
        line["path"] = json!(operation.path);
        self.add(line);
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [project, what, operation, how] = words.as_slice() else {
        return ExitCode::from(2);
    };
    let log = how.strip_prefix("log=").map(|_| Log::default());
    let gate = match &log {
        Some(log) => Gate::with_faults(log.clone()),
        None => Gate::with_faults(FaultAt {
            operation: operation.parse().unwrap_or(u64::MAX),
            how: how.clone(),
        }),
    };
    let ended = drive(project, what, gate.clone(), log.as_ref()).await;
    if let (Some(log), Some(file)) = (&log, how.strip_prefix("log=")) {
        log.write_to(file);
    }
    println!("{}", gate.operations());
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", ErrorInfo::from_error("failed", &*error).message);
            ExitCode::FAILURE
        }
    }
}

/// Removes all runs but the newest.
fn prune(project: &str, gate: Gate) -> Result<(), Box<dyn std::error::Error>> {
    let dirs = Dirs::new(project.as_ref(), None, None)?;
    let catalog = dirs.catalog().with_gate(gate);
    let policy = RetentionPolicy::default().keep_last(1);
    let plan = plan_prune(catalog.inventory()?, &policy, Timestamp::now());
    let failures = catalog.prune(&plan)?.failures;
    match failures.first() {
        Some(failure) => Err(failure.reason.clone().into()),
        None => Ok(()),
    }
}

/// Repairs the newest run.
fn repair(project: &str, gate: Gate) -> Result<(), Box<dyn std::error::Error>> {
    let runs = std::path::Path::new(project).join("runs");
    let newest = dad_fs::Dir::open(&runs)?
        .entries()?
        .pop()
        .ok_or("there is no run")?;
    let dir = dad_fs::Dir::open_with(runs.join(newest.name), gate)?;
    let found = Repair::find(dir.path())?.ok_or("there is nothing to repair")?;
    let decide = |step: &UncertainStep| {
        let decision = match step.committed {
            Some(_) => RepairDecision::Accept,
            None => RepairDecision::Redo,
        };
        (step.path.clone(), decision)
    };
    let decided: Vec<_> = found.uncertain.iter().map(decide).collect();
    Repair::apply_in(&dir, Some(dad_tests::origin_key()), &decided)?;
    Ok(())
}

async fn drive(
    project: &str,
    what: &str,
    gate: Gate,
    log: Option<&Log>,
) -> Result<(), Box<dyn std::error::Error>> {
    match what {
        "prune" => return prune(project, gate),
        "repair" => return repair(project, gate),
        _ => {}
    }
    let flow = match what {
        "change" | "change-resume" => change_flow(project)?,
        "command" | "command-resume" => command_flow()?,
        _ => flow()?,
    };
    let mut context = RunContext::builder("scenario", project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(dhenara::builtin_nodes().register::<Paid>())
        .gate(gate);
    if let Some(log) = log {
        context = context
            .durability(Durability::Disk)
            .resource(Arc::new(log.clone()));
    }
    if matches!(what, "rerun" | "again") {
        context = context.previous_run_id("last");
    }
    if what == "rerun" {
        context = context.start_hierarchy_path("rounds.iter_1.ask");
    }
    let context = context.build()?;
    let run = match what {
        "resume" | "change-resume" | "command-resume" => {
            let unfinished = context.dirs().catalog().find_unfinished("last")?;
            context.resume_run(&unfinished.dir, &flow)?
        }
        _ => context.setup_run(&flow)?,
    };
    if let Some(log) = log {
        log.listen(&run);
    }
    match FlowRunner::within(&flow, &run).run().await {
        Ok(report) => {
            run.seal(report.status.try_into()?, None).await?;
            Ok(())
        }
        Err(error) => {
            // It explains why, and the seal may fail for the same reason.
            let _ = run.complete_run(RunEnd::Failed, Some(&error)).await;
            Err(error.into())
        }
    }
}
