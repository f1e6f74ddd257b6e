//! The effect of a stop, by its cause and by the state of the step that it meets: `stop_table.md` has the expected values, and each
//! of its rows is executed.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dad_core::{Budget, Definition, HierarchyPath, RunId, RunStatus};
use dad_definition::load_str;
use dad_run::{RunContext, RunContextBuilder, RunStop, RunView, request_cancel};
use dad_runner::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, NodeRegistry, Runner, World,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

const TABLE: &str = include_str!("stop_table.md");

/// The column that says how the step ended.
const STEP: usize = 3;

/// The time limits of the table.
const LIMIT: Duration = Duration::from_secs(60);

const CAUSES: [&str; 10] = [
    "Ctrl-C",
    "SIGTERM",
    "SIGHUP",
    "cancel RUN",
    "cancel COMPONENT",
    "cancel STEP",
    "timeout of the step",
    "timeout of the component",
    "timeout of the run",
    "wall time",
];

const SITUATIONS: [&str; 10] = [
    "command",
    "file operation",
    "model call",
    "pause between attempts",
    "waits for input",
    "waits for approval",
    "waits for a rate limit",
    "in a loop",
    "in parallel",
    "in finally",
];

/// The element that absorbs a cause.
fn absorbers(cause: &str) -> &'static [&'static str] {
    match cause {
        "cancel STEP" | "timeout of the step" => &["nothing", "step", "component"],
        "cancel COMPONENT" | "timeout of the component" => &["nothing", "component"],
        _ => &["nothing"],
    }
}

/// Steps that were executed once: only the first execution of each is one that has to be stopped.
#[derive(Debug, Default)]
struct Executed(Mutex<HashSet<String>>);

impl Executed {
    fn is_first(&self, step: &HierarchyPath) -> bool {
        self.0.lock().unwrap().insert(step.leaf().to_owned())
    }

    fn has(&self, id: &str) -> bool {
        self.0.lock().unwrap().contains(id)
    }
}

/// Does in its first execution what the case demands, and nothing later.
#[derive(Default)]
struct Staged;

#[derive(Deserialize, JsonSchema)]
struct StagedSettings {
    does: Does,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Does {
    Nothing,
    /// Executes until it is asked to stop, as a command.
    Listens,
    /// Blocks a thread until it is asked to stop, as a file operation.
    Blocks,
    /// Makes an exchange that has no end, as a model call.
    Calls,
    Fails,
    /// Waits for two minutes for its turn.
    Queues,
    /// Sleeps for three minutes.
    Sleeps,
    /// Sleeps for two minutes.
    Naps,
}

impl Node for Staged {
    type Settings = StagedSettings;
    type Input = Value;
    type Outcome = Value;
    const TYPE: &'static str = "staged";

    fn bind(
        &self,
        settings: StagedSettings,
        _: Option<Value>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for StagedSettings {
    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Pure)
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let minutes = |minutes| tokio::time::sleep(Duration::from_mins(minutes));
        let is_first = cx.resource::<Executed>().unwrap().is_first(cx.path());
        match self.does {
            _ if !is_first => {}
            Does::Nothing => {}
            Does::Listens => {
                cx.cancelled().await;
                return Err(NodeError::new("ended", "it was ended by a signal"));
            }
            Does::Blocks => return cx.blocking(until_stopped).await,
            Does::Calls => {
                cx.memo("call", &json!({}), |_| {
                    std::future::pending::<Result<u32, NodeError>>()
                })
                .await?;
            }
            Does::Fails => return Err(NodeError::new("not_yet", "another attempt may succeed")),
            Does::Queues => {
                let _pause = dad_events::pause_time_limit();
                minutes(2).await;
            }
            Does::Sleeps => minutes(3).await,
            Does::Naps => minutes(2).await,
        }
        Ok(NodeOutput::new(json!("done")))
    }
}

fn until_stopped(stop: &dad_runner::Stop) -> Result<NodeOutput, NodeError> {
    while !stop.is_set() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(NodeError::new("stopped", "asked to stop"))
}

/// One row of the table: a cause that meets a step in a situation.
struct Cell {
    cause: &'static str,
    situation: &'static str,
    absorber: &'static str,
}

impl Cell {
    fn all() -> impl Iterator<Item = Self> {
        CAUSES.into_iter().flat_map(|cause| {
            SITUATIONS.into_iter().flat_map(move |situation| {
                absorbers(cause).iter().map(move |absorber| Self {
                    cause,
                    situation,
                    absorber,
                })
            })
        })
    }

    /// The place of the step.
    fn step(&self) -> &'static str {
        match self.situation {
            "in a loop" => "flow.top.part.loop.iter_0.it",
            "in parallel" => "flow.top.part.group.it",
            _ => "flow.top.part.it",
        }
    }

    fn definition(&self) -> Definition {
        let limit = |of: &str| if self.cause == of { "timeout: 1m" } else { "" };
        let absorbs = |what: &str| {
            if self.absorber == what {
                "on_error: continue"
            } else {
                ""
            }
        };
        let does = match self.situation {
            "command" => "listens",
            "file operation" => "blocks",
            "pause between attempts" => "fails",
            "waits for a rate limit" => "queues",
            "in finally" => "naps",
            _ => "calls",
        };
        let more = match self.situation {
            "pause between attempts" => "retry: { max_attempts: 3, initial_delay: 2m, max_delay: 2m }",
            "waits for input" => "pre_events: [node_input_required]",
            "waits for approval" => "requires_approval: true",
            _ => "",
        };
        let options = [limit("timeout of the step"), absorbs("step"), more];
        let options: String = options
            .iter()
            .filter(|option| !option.is_empty())
            .map(|option| format!("{option}, "))
            .collect();
        let it = format!("{{ node: it, type: staged, {options}settings: {{ does: {does} }} }}");
        let nothing = |id: &str| format!("{{ node: {id}, type: staged, settings: {{ does: nothing }} }}");
        let (behind, sweep) = (nothing("behind"), nothing("sweep"));
        let (elements, finally) = match self.situation {
            "in a loop" => (
                format!(
                    "{{ repeat: loop, until: '$expr{{ false }}', max_iterations: 2, on_exhausted: continue, body: [ {it} ] }}, {behind}"
                ),
                sweep,
            ),
            "in parallel" => {
                let beside = "{ node: beside, type: staged, settings: { does: sleeps } }";
                (
                    format!("{{ parallel: group, elements: [ {it}, {beside} ] }}, {behind}"),
                    sweep,
                )
            }
            "in finally" => (nothing("first"), format!("{it}, {behind}, {sweep}")),
            _ => (format!("{it}, {behind}"), sweep),
        };
        let wall_time = match self.cause {
            "wall time" => "budget: { wall_time: 1m }",
            _ => "",
        };
        let text = format!(
            "schema_version: 1\nkind: flow\nroot_id: flow\n{root}\n{wall_time}\nelements:\n  - parallel: top\n    elements:\n      \
             - subflow: part\n        {timeout}\n        {absorbs}\n        elements: [ {elements} ]\n        finally: [ {finally} ]\n      \
             - {{ node: elsewhere, type: staged, settings: {{ does: sleeps }} }}\n  - {after}\nfinally: [ {last} ]\n",
            root = limit("timeout of the run"),
            timeout = limit("timeout of the component"),
            absorbs = absorbs("component"),
            after = nothing("after"),
            last = nothing("ends"),
        );
        load_str(&text, "flow.yaml", None, None)
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
            .definition
    }

    /// Whether the step is where the cause is to meet it.
    fn is_reached(&self, run_dir: &Path, executed: &Executed) -> bool {
        let is_of_step = |kind: &str| {
            records(run_dir).any(|record| record["type"] == kind && record["path"] == self.step())
        };
        match self.situation {
            "pause between attempts" => is_of_step("attempt_failed"),
            "waits for input" | "waits for approval" => is_of_step("question"),
            _ => executed.has("it"),
        }
    }

    fn happens(&self, run_dir: &Path, stop: &RunStop) {
        let cancel = |path: Option<&str>| {
            let path = path.map(|path| path.parse().unwrap());
            request_cancel(run_dir, path.as_ref(), "dhenara cancel").unwrap();
        };
        match self.cause {
            "Ctrl-C" | "SIGTERM" | "SIGHUP" => stop.stop(self.cause),
            "cancel RUN" => cancel(None),
            "cancel COMPONENT" => cancel(Some("flow.top.part")),
            "cancel STEP" => cancel(Some(self.step())),
            _ => {}
        }
    }

    /// Whether the whole run is stopped.
    fn is_of_run(&self) -> bool {
        [
            "Ctrl-C",
            "SIGTERM",
            "SIGHUP",
            "cancel RUN",
            "timeout of the run",
            "wall time",
        ]
        .contains(&self.cause)
    }

    async fn row(&self) -> [String; 12] {
        let project = tempfile::tempdir().unwrap();
        let executed = Arc::new(Executed::default());
        let stop = RunStop::new();
        let id: RunId = "run_20260101_000000_000001".parse().unwrap();
        let run_dir = project.path().join("runs").join(id.as_str());
        let context = self.context(project.path(), &executed).run_id(id);
        let context = context.cancelled_by(stop.clone()).build().unwrap();
        let running = tokio::spawn(Runner::new(self.definition(), context).run());
        while !self.is_reached(&run_dir, &executed) {
            assert!(!running.is_finished(), "{self:?}: it was not reached");
            tokio::task::yield_now().await;
        }
        self.happens(&run_dir, &stop);
        if self.situation == "file operation" {
            // The clock stands still while a thread blocks.
            tokio::time::advance(LIMIT + Duration::from_secs(1)).await;
        }
        drop(running.await.unwrap());
        self.nothing_begins_behind_the_stop(&run_dir);
        dad_tests::validate_run_dir(&run_dir);
        let view = RunView::open(&run_dir).unwrap();
        let status = |path: &str| match view.entry(&path.parse::<HierarchyPath>().unwrap()) {
            Some(entry) => entry.status().to_string(),
            None => "not begun".to_owned(),
        };
        if self.situation == "in parallel" {
            let is_stopped =
                self.is_of_run() || self.cause.ends_with("COMPONENT") || self.cause.ends_with("component");
            let expected = if is_stopped { "cancelled" } else { "completed" };
            assert_eq!(status("flow.top.part.group.beside"), expected, "{self:?}");
        }
        // What waits has not come to its end.
        let ends = match view.status {
            RunStatus::Waiting => "not begun",
            _ => "completed",
        };
        assert_eq!(status("flow.ends"), ends, "{self:?}");
        let behind = match self.situation {
            "in a loop" => [
                status("flow.top.part.loop.iter_1.it"),
                status("flow.top.part.behind"),
            ]
            .join(", "),
            _ => status("flow.top.part.behind"),
        };
        let of_step = records(&run_dir).filter(|record| record["path"] == self.step());
        let last = of_step.last().map_or("nothing".to_owned(), |record| {
            record["type"].as_str().unwrap().to_owned()
        });
        [
            self.cause.to_owned(),
            self.situation.to_owned(),
            self.absorber.to_owned(),
            status(self.step()),
            behind,
            status("flow.top.part.sweep"),
            status("flow.top.part"),
            status("flow.top.elsewhere"),
            status("flow.after"),
            view.status.to_string(),
            last,
            self.resumed(project.path(), &run_dir, &executed).await,
        ]
    }

    fn context(&self, project: &Path, executed: &Arc<Executed>) -> RunContextBuilder {
        RunContext::builder("flow", project)
            .unmasked()
            .origin_key(dad_tests::origin_key())
            .nodes(NodeRegistry::new().register::<Staged>())
            .resource(Arc::clone(executed))
    }

    /// Behind the record of a stop of the run nothing begins but what stands under `finally`.
    fn nothing_begins_behind_the_stop(&self, run_dir: &Path) {
        let is_stop = |record: &Value| record["type"] == "control" && record["kind"] == "cancel";
        let begins = [
            "step_started",
            "component_started",
            "loop_started",
            "branch_taken",
            "question",
        ];
        let under_finally = ["flow.ends", "flow.top.part.sweep", "flow.top.part.behind"];
        let allowed = &under_finally[..2 + usize::from(self.situation == "in finally")];
        let all: Vec<Value> = records(run_dir).collect();
        let stops = all.iter().filter(|record| is_stop(record)).count();
        let is_recorded = !self.cause.starts_with("timeout") && self.cause != "wall time";
        assert_eq!(stops, usize::from(is_recorded), "{self:?}");
        let behind = all.iter().skip_while(|record| !is_stop(record)).filter(|record| {
            let path = record["path"].as_str().unwrap_or_default();
            begins.contains(&record["type"].as_str().unwrap()) && !allowed.contains(&path)
        });
        let behind: Vec<&Value> = behind.collect();
        assert!(!self.is_of_run() || behind.is_empty(), "{self:?}: {behind:#?}");
    }

    /// The decision of a resume about the step.
    async fn resumed(&self, project: &Path, run_dir: &Path, executed: &Arc<Executed>) -> String {
        let before = RunView::open(run_dir).unwrap();
        if before.status == RunStatus::Completed {
            return "the run is done".to_owned();
        }
        let began = |kind: &str| {
            let of_step = records(run_dir).filter(|record| record["path"] == self.step());
            of_step.filter(|record| record["type"] == kind).count()
        };
        let (asked, started) = (began("question"), began("step_started"));
        let budget = Budget::default().wall_time(Duration::from_hours(10));
        let context = self.context(project, executed).budget(budget).build().unwrap();
        let resumed = Runner::resume(self.definition(), context, run_dir).run().await;
        dad_tests::validate_run_dir(run_dir);
        let status = resumed.unwrap_or_else(|error| panic!("{self:?}: {error}")).status;
        let did = match (status, began("question") > asked, began("step_started") > started) {
            (RunStatus::Completed, false, true) => "executes it",
            (RunStatus::Completed, false, false) => "leaves it",
            (RunStatus::Waiting, true, false) => "asks again",
            (RunStatus::Waiting, false, false) => "keeps its question",
            other => panic!("{self:?}: {other:?}"),
        };
        did.to_owned()
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {} ({})", self.cause, self.situation, self.absorber)
    }
}

/// The whole lines of a journal.
fn records(run_dir: &Path) -> impl Iterator<Item = Value> {
    let text = std::fs::read_to_string(run_dir.join(".run/journal.jsonl")).unwrap_or_default();
    let lines: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    lines.into_iter()
}

/// The rows of the table, without what is said about them.
fn expected() -> Vec<Vec<String>> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn every_stop_does_what_the_table_says_wherever_it_meets_a_step() {
    let expected = expected();
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (number, cell) in Cell::all().enumerate() {
        let row = cell.row().await;
        let line = format!("| {} |", row.join(" | "));
        let is_right = expected
            .get(number)
            .is_some_and(|expected| expected[..row.len()] == row);
        // What the stop does not meet is not stopped.
        let is_none = expected
            .get(number)
            .is_some_and(|expected| expected[row.len()].starts_with("none"));
        let is_stopped = ["cancelled", "timed_out"].contains(&row[STEP].as_str());
        if !is_right || (is_none && is_stopped) {
            wrong.push(line.clone());
        }
        found.push(line);
    }
    assert!(
        wrong.is_empty(),
        "{} rows differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(found.len(), expected.len());
    assert!(
        expected.iter().flatten().all(|cell| !cell.is_empty()),
        "no cell is empty"
    );
}
