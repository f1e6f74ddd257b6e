//! The node `command`: programs and shell commands, one after the other.

mod outcome;
mod ran;
pub(crate) mod settings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dad_definition::{Compiled, Prepared, SettingsProblem};
use dad_events::activity::Command;
use dad_events::{Activity, ActivityEnd};
use dad_run::RunHandle;
use dad_runner::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, Preview, RunSetup,
};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::command::ran::{Ran, with_literals};
use crate::environment;
use crate::process::{self, Finished, Logs, Program};
use crate::sandbox::{self, Confinement, is_its_own_failure};
use crate::secret_text::{self, SecretPiece};
use crate::shell::{self, CommandText, Refusal};
use crate::written::{self, Read, Ready, Written};
pub use outcome::{CommandNodeOutcome, CommandResult};
use settings::env_texts;
pub use settings::{
    CommandLimits, CommandLine, CommandNode, CommandNodeInput, CommandNodeSettings, CommandOutput,
    CountedVariable, InheritedVariable,
};

/// Seconds one command may take by default: long enough for a build.
const DEFAULT_TIMEOUT: f64 = 600.0;

/// The longest standard output that is read as JSON, in bytes.
const LONGEST_OUTPUT: u64 = 32 * 1024 * 1024;

/// Executes `command`.
#[derive(Debug, Default)]
pub(crate) struct CommandExecutor;

impl Node for CommandExecutor {
    type Settings = CommandNodeSettings;
    type Input = CommandNodeInput;
    type Outcome = Value;
    const TYPE: &'static str = "command";
    const DEFINITION_ONLY: &'static [&'static str] = &["allow_generated", "sandbox"];

    fn bind(
        &self,
        settings: CommandNodeSettings,
        input: Option<CommandNodeInput>,
        cx: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        // Of settings that were not compiled nothing is known to be written.
        let step = match cx.prepared() {
            Some((compiled, values)) => CommandStep::new(settings, input, compiled, values.clone()),
            None => CommandStep::new(settings, input, Arc::default(), Value::Null),
        };
        Ok(Box::new(step?))
    }

    fn check(settings: &CommandNodeSettings) -> Vec<SettingsProblem> {
        let problem = |place: String, code, message| SettingsProblem::new(place, code, message);
        let timeout = settings
            .timeout
            .filter(|seconds| Duration::try_from_secs_f64(*seconds).map_or(true, |limit| limit.is_zero()));
        let timeout = timeout.map(|_| {
            let message = "`timeout` must be a positive number of seconds".to_owned();
            problem("timeout".to_owned(), "timeout", message)
        });
        let names = settings.env_vars.keys();
        let unnameable = names.filter(|name| name.is_empty() || name.contains(['=', '\0']));
        let unnameable = unnameable.map(|name| {
            let message = format!("`{name}` cannot be the name of an environment variable");
            problem(format!("env_vars.{name}"), "env_vars", message)
        });
        let origin_key = settings
            .inherit_env
            .iter()
            .position(|variable| variable.name() == environment::ORIGIN_KEY);
        let origin_key = origin_key.map(|index| {
            let message = format!(
                "`{}` signs runs, and no command is given it",
                environment::ORIGIN_KEY
            );
            problem(format!("inherit_env[{index}]"), "inherit_env", message)
        });
        unnameable.chain(timeout).chain(origin_key).collect()
    }

    fn check_requirements(settings: &CommandNodeSettings, setup: &RunSetup<'_>) -> Result<(), NodeError> {
        environment::check_texts(settings.inherit_env.iter().map(InheritedVariable::name))?;
        secret_text::check_start(settings.env_vars.values(), setup)?;
        sandbox::check_start([settings.sandbox.as_ref()].into_iter(), setup)
    }

    fn compile(unrendered: &Value) -> Compiled {
        let read = read_commands(unrendered);
        let problems = problems_of_text(unrendered, &read);
        let (written, commands) = Written::found(unrendered, read);
        let secrets = secret_text::pieces_of_variables(unrendered);
        let values = if commands.is_null() && secrets.is_empty() {
            Value::Null
        } else {
            json!({ "commands": commands, "env_vars": secrets })
        };
        {
            let mut compiled = Compiled::default();
            compiled.problems = problems;
            compiled.prepared = Some(Prepared::new(Arc::new(written), values));
            compiled
        }
    }
}

/// A note for the person who approves: only the parts of the preview are compared again before it executes.
const NOT_COVERED: &str = "(what the programs themselves read is not covered)";

/// Commands that are about to run.
pub(crate) struct CommandStep {
    settings: CommandNodeSettings,
    /// Environment variables that were given from outside.
    given: IndexMap<String, String>,
    commands: Vec<Ready>,
    timeout: Duration,
    /// Values of environment variables with secrets in them, taken apart.
    secrets: IndexMap<String, Vec<SecretPiece>>,
    written: Arc<Written>,
    /// The values in what is written, and in the environment.
    values: Value,
}

impl CommandStep {
    /// The commands of the definition count as the author's own; of other commands, and of those that came since, nothing
    /// is known.
    pub(crate) fn new(
        settings: CommandNodeSettings,
        input: Option<CommandNodeInput>,
        written: Arc<Written>,
        values: Value,
    ) -> Result<Self, NodeError> {
        let input = input.unwrap_or_default();
        let commands = input.commands.as_ref().unwrap_or(&settings.commands);
        let seconds = settings.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let internal = |error: serde_json::Error| NodeError::from_error("settings", &error).permanent();
        Ok(Self {
            commands: written.ready(commands, &values["commands"])?,
            // That it is a number of seconds has been checked.
            timeout: Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
            secrets: match &values["env_vars"] {
                Value::Null => IndexMap::new(),
                pieces => IndexMap::deserialize(pieces).map_err(internal)?,
            },
            given: input.env_vars,
            settings,
            written,
            values,
        })
    }
}

#[async_trait]
impl BoundStep for CommandStep {
    async fn preview(&self, run: &RunHandle) -> Result<Preview, NodeError> {
        let dir = working_dir(&self.settings, run);
        let lines = self.commands.iter().map(|command| format!("$ {}", command.typed));
        let argv: Vec<&[String]> = self
            .commands
            .iter()
            .map(|command| command.argv.as_slice())
            .collect();
        let stdin = self.settings.stdin.as_ref();
        let stdin = stdin.map(|text| format!("each reads from its standard input:\n{text}"));
        let place = format!("in {}", dir.display());
        let confinement = Confinement::of(self.settings.sandbox.as_ref(), run);
        let shown = [place]
            .into_iter()
            .chain(lines)
            .chain(stdin)
            .chain(confinement.shown())
            .chain([NOT_COVERED.to_owned()]);
        let mut facts = json!({
            "commands": argv,
            "working_dir": dir,
            "settings": self.settings,
            "given_env_vars": self.given,
        });
        if let Some(sandbox) = confinement.recorded() {
            facts["sandbox"] = sandbox;
        }
        Ok(Preview::new(shown.collect::<Vec<_>>().join("\n")).facts(facts))
    }

    fn state(&self, cx: &NodeContext) -> Result<Option<Value>, NodeError> {
        let commands: Vec<&Value> = self.commands.iter().map(|ready| &ready.state).collect();
        let working_dir = working_dir(&self.settings, cx.run());
        let mut state =
            json!({ "commands": commands, "working_dir": working_dir, "env_vars": self.settings.env_vars });
        if let Some(sandbox) = Confinement::of(self.settings.sandbox.as_ref(), cx.run()).recorded() {
            state["sandbox"] = sandbox;
        }
        Ok(Some(state))
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let ran = self.run_all(cx).await?;
        ran.output(&self.settings, cx.dir()?)
    }

    fn environment(&self) -> Vec<(String, Option<String>)> {
        let compared = self
            .settings
            .inherit_env
            .iter()
            .filter(|variable| variable.is_compared());
        environment::values_of(compared.map(InheritedVariable::name))
    }

    fn formerly_fingerprinted(&self, settings: &Value) -> Option<Value> {
        if self.values.is_null() {
            return None;
        }
        let mut settings = settings.clone();
        self.written.formerly(&mut settings, &self.values["commands"]);
        if !self.secrets.is_empty() {
            settings["secret_env"] = self.values["env_vars"].clone();
        }
        Some(settings)
    }
}

/// Problems of settings that only their texts show.
fn problems_of_text(unrendered: &Value, read: &[Option<Read>]) -> Vec<SettingsProblem> {
    let generated = unrendered.get("allow_generated") == Some(&Value::Bool(true));
    let problem = |(index, text): (usize, &str)| {
        let refusal = match read.get(index)?.as_ref()? {
            Ok(CommandText::Generated) if !generated => generated_command(text),
            Ok(_) => return None,
            Err(refusal) => refusal.clone(),
        };
        Some(refusal.at(format!("commands[{index}]")))
    };
    let strings = shell_strings(unrendered).filter_map(problem);
    let lists = shell_lists(unrendered).filter_map(|(index, words)| {
        let refusal = generated_command(&written::generated_among(words).filter(|_| !generated)?);
        Some(refusal.at(format!("commands[{index}]")))
    });
    let secret = |place: String, message: String| {
        SettingsProblem::new(place, "secret", message)
            .hint("name a secret in `env_vars`, as `$secret{NAME}`, and use the variable".to_owned())
    };
    let misnamed = env_texts(unrendered).filter_map(|(name, text)| {
        let message = secret_text::pieces(text)?.err()?;
        Some(secret(format!("env_vars.{name}"), message))
    });
    let elsewhere = texts_beside_env(unrendered)
        .into_iter()
        .filter_map(|(place, text)| {
            matches!(secret_text::pieces(text), Some(Ok(_))).then(|| {
                let message =
                    "a secret stands where everybody could read it: `$secret{}` is only for `env_vars`";
                secret(place, message.to_owned())
            })
        });
    let shell = unrendered.get("shell").map(|_| {
        let reason = "write a command as a string for a shell, or as a list for none";
        SettingsProblem::unsupported("shell", reason)
    });
    strings
        .chain(lists)
        .chain(unfixed_permission(unrendered))
        .chain(misnamed)
        .chain(elsewhere)
        .chain(shell)
        .collect()
}

/// Each command of unrendered settings as the compiler reads it; `None` for one that no shell reads.
fn read_commands(unrendered: &Value) -> Vec<Option<Read>> {
    let commands = unrendered.get("commands").and_then(Value::as_array);
    let read = |command: &Value| shell::read(command.as_str()?);
    commands.into_iter().flatten().map(read).collect()
}

/// The commands that a shell reads, with their positions.
fn shell_strings(unrendered: &Value) -> impl Iterator<Item = (usize, &str)> {
    let commands = unrendered.get("commands").and_then(Value::as_array);
    commands
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, command)| Some((index, command.as_str()?)))
}

/// The texts in which no secret may be named, with their places.
fn texts_beside_env(unrendered: &Value) -> Vec<(String, &str)> {
    let mut texts = Vec::new();
    for name in ["working_dir", "stdin"] {
        texts.extend(
            unrendered
                .get(name)
                .and_then(Value::as_str)
                .map(|text| (name.to_owned(), text)),
        );
    }
    let commands = unrendered.get("commands").and_then(Value::as_array);
    for (index, command) in commands.into_iter().flatten().enumerate() {
        let words = command
            .as_array()
            .map_or(std::slice::from_ref(command), Vec::as_slice);
        let place = format!("commands[{index}]");
        texts.extend(
            words
                .iter()
                .filter_map(Value::as_str)
                .map(|text| (place.clone(), text)),
        );
    }
    texts
}

fn generated_command(text: &str) -> Refusal {
    Refusal {
        code: "generated_command",
        message: format!("`{text}` would let a shell read a value as code"),
        hint: "say `allow_generated: true`, or write the command around the value".to_owned(),
    }
}

impl Refusal {
    fn at(self, place: String) -> SettingsProblem {
        SettingsProblem::new(place, self.code, self.message).hint(self.hint)
    }
}

/// A permission that a value would give.
fn unfixed_permission(unrendered: &Value) -> Option<SettingsProblem> {
    let text = unrendered.get("allow_generated")?.as_str()?;
    let refusal = Refusal {
        code: "generated_command",
        message: format!("`allow_generated` is `{text}`; only the definition can give it"),
        hint: "write `true` or `false`".to_owned(),
    };
    Some(refusal.at("allow_generated".to_owned()))
}

/// The lists of arguments, with their positions.
fn shell_lists(unrendered: &Value) -> impl Iterator<Item = (usize, &[Value])> {
    let commands = unrendered.get("commands").and_then(Value::as_array);
    let commands = commands.into_iter().flatten().enumerate();
    commands.filter_map(|(index, command)| Some((index, command.as_array()?.as_slice())))
}

/// A command as traces show it.
fn activity(command: &Ready, number: usize, cx: &NodeContext) -> Activity {
    let program = command.argv.first().map_or("", String::as_str);
    let program = program.rsplit('/').next().unwrap_or(program);
    let mut traced = Command::new(program).number(u32::try_from(number).unwrap_or(u32::MAX));
    if cx.wants_content() {
        traced.line = Some(command.typed.as_str().into());
    }
    Activity::Command(traced)
}

fn end_of(finished: &Result<Finished, NodeError>, settings: &CommandNodeSettings) -> ActivityEnd {
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => return ActivityEnd::failed(error.info.clone()),
    };
    let mut end = ActivityEnd::default();
    end.exit_code = finished.code;
    end.error = finished.failure(&settings.allow_exit_codes);
    end
}

fn working_dir(settings: &CommandNodeSettings, run: &RunHandle) -> PathBuf {
    // A relative directory is taken from the run directory, which is also the default.
    let run_dir = &run.identity().run_dir;
    settings
        .working_dir
        .as_ref()
        .map_or_else(|| run_dir.clone(), |dir| run_dir.join(dir))
}

impl CommandStep {
    async fn run_all(&self, cx: &NodeContext) -> Result<Ran, NodeError> {
        let settings = &self.settings;
        let env = self.environment(cx)?;
        let limits = settings.limits.unwrap_or_default();
        let dir = working_dir(settings, cx.run());
        let confinement = Confinement::of(settings.sandbox.as_ref(), cx.run());
        let sandbox = confinement.prefix(&dir, cx)?;
        let mut logs = Logs::of_step(cx.dir()?)?;
        let mut ran = Ran::default();
        for command in &self.commands {
            let argv = limits.around(command.argv.clone());
            let argv = match &sandbox {
                Some(sandbox) => sandbox.around(argv),
                None => argv,
            };
            let program = Program {
                argv: &argv,
                working_dir: &dir,
                env: &env,
                stdin: settings.stdin.as_deref(),
                timeout: self.timeout,
                longest_output: limits.longest_output(),
                ends_with_thread: sandbox.is_some(),
                has_terminal: settings.pty == Some(true),
            };
            let running = cx.begin(activity(command, ran.count() + 1, cx));
            let finished = process::run(&program, &mut logs, cx).await;
            running.end(end_of(&finished, settings));
            let finished = finished.map_err(|error| with_literals(error, settings))?;
            if let Some(sandbox) = &sandbox
                && is_its_own_failure(&finished.stderr)
            {
                let sandbox = sandbox.clone();
                cx.blocking(move |_| sandbox.probe()).await?;
            }
            let success = ran.add(command, finished, settings, cx.is_cancelled());
            if cx.is_cancelled() || (!success && settings.fail_fast.unwrap_or(true)) {
                break;
            }
        }
        ran.sandbox = confinement.recorded();
        Ok(ran)
    }

    /// The environment of the commands. What is given as input is data: no secret is named in it.
    fn environment(&self, cx: &NodeContext) -> Result<Vec<(String, OsString)>, NodeError> {
        let inherited = || self.settings.inherit_env.iter().map(InheritedVariable::name);
        environment::check_texts(inherited())?;
        secret_text::mask(environment::inherited_secrets(inherited()), cx.run().secrets());
        let mut given = self.settings.env_vars.clone();
        for (name, pieces) in &self.secrets {
            // Another value may have been given since, which is data as well.
            if given.get(name) == Some(&secret_text::shown(pieces)) {
                given.insert(name.clone(), secret_text::resolve(pieces, cx)?);
            }
        }
        given.extend(self.given.clone());
        Ok(environment::environment(inherited(), given.into_iter()))
    }
}
