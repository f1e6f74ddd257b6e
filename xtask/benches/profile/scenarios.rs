//! The scenarios that are counted.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use dad_testing::FakeModel;
use dhenara::definition::{NodeBuilder, check_file};
use dhenara::models::Models;
use dhenara::run::{OriginKey, RunContextBuilder};
use dhenara::template::{Limits, Template, Value as TemplateValue};
use dhenara::types::StatusCounts;
use dhenara::{
    BindContext, Bound, BoundStep, FlowBuilder, FlowDefinition, FlowRunner, ForEachBuilder, Node,
    NodeContext, NodeError, NodeOutput, NodeRegistry, NodeType, ObservabilitySettings, OnExhausted,
    RepeatBuilder, RunContext, World, builtin_nodes,
};
use serde_json::{Map, Value, json};

use crate::Outcome;

/// One piece of the daily work of the run system.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scenario {
    /// Passes of a loop with a step that does nothing.
    Steps,
    /// Steps that do nothing, one after the other.
    ListedSteps,
    /// The items of a loop, each with a step that is given parts of its item.
    Items,
    /// Passes of a loop that look up two results of other steps.
    LookUps,
    /// File operations of one step.
    FileOperations,
    /// Model calls whose answers are made up.
    ModelCalls,
    /// The same steps, with telemetry.
    TracedSteps,
    /// The same steps, with telemetry.
    TracedListedSteps,
    /// Calls of a model that a client of this process answers.
    ClientCalls,
    /// The same calls, with telemetry.
    TracedClientCalls,
    /// Steps that a re-run takes over.
    Rerun,
    /// Steps that stand in the journal of a run that is resumed.
    Resume,
    /// Steps of a run that a command looks at.
    LongRun,
    /// Runs of a project that a command lists.
    ManyRuns,
    /// Renderings of a prompt with fifty placeholders.
    Templates,
    /// Nodes of a definition that is loaded, checked and compiled.
    Definition,
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "steps" => Self::Steps,
            "listed_steps" => Self::ListedSteps,
            "items" => Self::Items,
            "look_ups" => Self::LookUps,
            "file_operations" => Self::FileOperations,
            "model_calls" => Self::ModelCalls,
            "traced_steps" => Self::TracedSteps,
            "traced_listed_steps" => Self::TracedListedSteps,
            "client_calls" => Self::ClientCalls,
            "traced_client_calls" => Self::TracedClientCalls,
            "rerun" => Self::Rerun,
            "resume" => Self::Resume,
            "long_run" => Self::LongRun,
            "many_runs" => Self::ManyRuns,
            "templates" => Self::Templates,
            "definition" => Self::Definition,
            _ => return Err(format!("there is no scenario `{name}`")),
        })
    }
}

impl Scenario {
    /// Makes what the scenario starts from.
    pub(crate) fn prepare(self, project: &Path, units: usize) -> Outcome<()> {
        match self {
            Self::Rerun | Self::LongRun => make_run(project, steps(units)?, RUN),
            Self::Resume => {
                make_run(project, steps(units)?, RUN)?;
                interrupt(project)
            }
            Self::ManyRuns => (0..units).try_for_each(|number| {
                make_run(project, steps(1)?, &format!("run_20251123_{number:06}_000000"))
            }),
            Self::Definition => write(&project.join(DEFINITION), &definition_text(units)),
            _ => Ok(()),
        }
    }

    /// Does what is counted.
    pub(crate) fn execute(self, project: &Path, units: usize) -> Outcome<()> {
        match self {
            Self::Steps => make_run(project, steps(units)?, RUN),
            Self::ListedSteps => make_run(project, listed_steps(units)?, RUN),
            Self::Items => make_run(project, items(units)?, RUN),
            Self::LookUps => make_run(project, look_ups(units)?, RUN),
            Self::FileOperations => make_run(project, file_operations(units)?, RUN),
            Self::ModelCalls => make_run(project, model_calls(units)?, RUN),
            Self::TracedSteps => trace_run(project, steps(units)?),
            Self::TracedListedSteps => trace_run(project, listed_steps(units)?),
            Self::ClientCalls => make_run(project, client_calls(units)?, RUN),
            Self::TracedClientCalls => trace_run(project, client_calls(units)?),
            Self::Rerun => rerun(project, units),
            Self::Resume => resume(project, units),
            Self::Templates => render(units),
            Self::Definition => load(project),
            Self::LongRun | Self::ManyRuns => Err("a command looks at these".into()),
        }
    }
}

/// A node that does nothing, and whose result may be reused: its settings.
#[derive(Default)]
struct Nothing;

impl Node for Nothing {
    type Settings = Map<String, Value>;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "nothing";

    fn bind(&self, settings: Self::Settings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(Settings(settings)))
    }
}

struct Settings(Map<String, Value>);

#[async_trait]
impl BoundStep for Settings {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        Ok(NodeOutput::new(Value::Object(self.0.clone())))
    }

    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Pure)
    }
}

const RUN: &str = "run_20251123_000000_ffffff";
const RERUN: &str = "rerun_20251123_000001_ffffff";

fn run_dir(project: &Path) -> PathBuf {
    project.join("runs").join(RUN)
}

fn context(project: &Path) -> RunContextBuilder {
    RunContext::builder("flow", project)
        .unmasked()
        .origin_key(OriginKey::from_bytes([7; 32]))
        .nodes(builtin_nodes().register::<Nothing>())
        .resource(Arc::new(Models::offline(FakeModel::by(|_| "nothing to remark"))))
}

/// Drives a run to its end on this one thread.
fn drive(runner: impl FnOnce() -> Outcome<FlowRunner>) -> Outcome<StatusCounts> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async { Outcome::Ok(runner()?.run().await?) })?;
    Ok(report.totals.counts)
}

fn make_run(project: &Path, flow: FlowDefinition, id: &str) -> Outcome<()> {
    drive(|| {
        let context = context(project).run_id(id.parse()?).build()?;
        Ok(FlowRunner::new(flow, context))
    })?;
    Ok(())
}

/// A run with the telemetry that runs of the command have.
fn trace_run(project: &Path, flow: FlowDefinition) -> Outcome<()> {
    drive(|| {
        let context = context(project)
            .run_id(RUN.parse()?)
            .observability_settings(ObservabilitySettings::default());
        Ok(FlowRunner::new(flow, context.build()?))
    })?;
    Ok(())
}

fn rerun(project: &Path, units: usize) -> Outcome<()> {
    let counts = drive(|| {
        let builder = context(project).previous_run_id(RUN).run_id(RERUN.parse()?);
        Ok(FlowRunner::new(steps(units)?, builder.build()?))
    })?;
    same(counts.reused, units)
}

fn resume(project: &Path, units: usize) -> Outcome<()> {
    let counts = drive(|| {
        let context = context(project).build()?;
        Ok(FlowRunner::resume(steps(units)?, context, run_dir(project)))
    })?;
    same(counts.completed, units)
}

/// Takes away from the journal what follows the last step: as if its process had died there.
fn interrupt(project: &Path) -> Outcome<()> {
    let journal = run_dir(project).join(".run/journal.jsonl");
    let text = fs::read_to_string(&journal)?;
    let last = text
        .rfind(r#""type":"step_committed""#)
        .ok_or("no step was committed")?;
    let end = text[last..].find('\n').ok_or("the last line is torn")? + last + 1;
    let file = File::options().write(true).open(&journal)?;
    Ok(file.set_len(end as u64)?)
}

fn same(found: u64, wanted: usize) -> Outcome<()> {
    if found == wanted as u64 {
        Ok(())
    } else {
        Err(format!("{found} were found, there are {wanted}").into())
    }
}

fn nothing(settings: Value) -> NodeBuilder {
    NodeBuilder::new(NodeType::new(Nothing::TYPE), settings)
}

/// A loop that is left after so many passes.
fn repeat(passes: usize, body: FlowBuilder) -> Outcome<FlowDefinition> {
    let rounds =
        RepeatBuilder::new("$expr{ false }", passes as u64, body).on_exhausted(OnExhausted::Continue);
    Ok(FlowBuilder::new().repeat("rounds", rounds).build()?)
}

fn steps(units: usize) -> Outcome<FlowDefinition> {
    repeat(units, FlowBuilder::new().node("step", nothing(json!({}))))
}

fn listed_steps(units: usize) -> Outcome<FlowDefinition> {
    let mut flow = FlowBuilder::new();
    for number in 0..units {
        flow = flow.node(&format!("step_{number}"), nothing(json!({})));
    }
    Ok(flow.build()?)
}

fn items(units: usize) -> Outcome<FlowDefinition> {
    let body = FlowBuilder::new().node(
        "step",
        nothing(json!({ "name": "$expr{ item.name }", "text": "check $expr{ item.size } of $var{index}" })),
    );
    let statement = format!("$expr{{py: [{{'name': f'file {{i}}', 'size': i}} for i in range({units})]}}");
    Ok(FlowBuilder::new()
        .for_each("rounds", ForEachBuilder::new(statement, body))
        .build()?)
}

fn look_ups(units: usize) -> Outcome<FlowDefinition> {
    let body = FlowBuilder::new()
        .node(
            "first",
            nothing(json!({ "text": "a short text", "list": [1, 2, 3] })),
        )
        .node(
            "second",
            nothing(json!({
                "before": "$expr{ $hier{rounds.previous.second}.outcome.now[0] || 0 }",
                "now": "$expr{ $hier{first}.outcome.list }",
            })),
        );
    repeat(units, body)
}

fn file_operations(units: usize) -> Outcome<FlowDefinition> {
    let operations: Vec<Value> = (0..units)
        .map(|number| json!({ "type": "create_file", "path": format!("src/file_{number}.txt"), "content": "text\n" }))
        .collect();
    let settings = json!({ "base_directory": "$var{project_root}", "operations": operations });
    let node = NodeBuilder::new(NodeType::FILE_OPERATION, settings);
    Ok(FlowBuilder::new().node("files", node).build()?)
}

fn client_calls(units: usize) -> Outcome<FlowDefinition> {
    let settings = json!({
        "models": ["test/fake"],
        "prompt": "Review pass $var{index} of this change.",
    });
    repeat(
        units,
        FlowBuilder::new().node("review", NodeBuilder::new(NodeType::AI_MODEL_CALL, settings)),
    )
}

fn model_calls(units: usize) -> Outcome<FlowDefinition> {
    let shape = json!({
        "type": "object",
        "required": ["remarks"],
        "properties": { "remarks": { "type": "array", "items": { "type": "string" } } },
    });
    let settings = json!({
        "models": ["openai/none"],
        "prompt": "Review pass $var{index} of this change.",
        "model_call_config": { "test_mode": true, "structured_output": { "schema": shape } },
    });
    repeat(
        units,
        FlowBuilder::new().node("ask", NodeBuilder::new(NodeType::AI_MODEL_CALL, settings)),
    )
}

/// Renders a prompt of 20 kB with fifty placeholders so many times.
fn render(units: usize) -> Outcome<()> {
    let places = [
        "$var{task}",
        "$expr{check.name}",
        "$expr{ len(check.tries) > 2 ? task : 'none' }",
    ];
    let plain = "You write code that works; \n".repeat(14);
    let text: String = places
        .iter()
        .cycle()
        .take(50)
        .map(|place| format!("{plain}{place}"))
        .collect();
    let template = Template::parse(&text)?;
    let check = json!({ "name": "build", "tries": [1, 2, 3] });
    let scope = HashMap::from([
        ("task".to_owned(), TemplateValue::from("sort the list")),
        ("check".to_owned(), TemplateValue::from(check)),
    ]);
    for _ in 0..units {
        black_box(template.render(black_box(&scope), &Limits::default())?);
    }
    Ok(())
}

const DEFINITION: &str = "large.yaml";

fn definition_text(units: usize) -> String {
    let mut text = "schema_version: 1\nkind: flow\nvariables: { task: sort }\nelements:\n".to_owned();
    for number in 0..units {
        let before = match number {
            0 => "$expr{task}".to_owned(),
            _ => format!("$expr{{ $hier{{look_{}}}.outcome.results }}", number - 1),
        };
        text.push_str(&format!(
            "  - node: look_{number}\n    type: command\n    timeout: 30s\n    settings:\n      commands: [[echo, \"{before}\"], \"test -n \\\"$var{{task}}\\\"\"]\n      env_vars: {{ TASK: \"$var{{task}}\" }}\n"
        ));
    }
    text
}

fn load(project: &Path) -> Outcome<()> {
    let nodes: NodeRegistry = builtin_nodes();
    let checked = check_file(&project.join(DEFINITION), Some(project), "large", &nodes)
        .map_err(|problems| problems.to_string())?;
    black_box(checked);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a file that no run owns")]
fn write(path: &Path, text: &str) -> Outcome<()> {
    Ok(fs::write(path, text)?)
}
