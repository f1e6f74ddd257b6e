mod ran;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dad_definition::{Compiled, Prepared, SettingsProblem};
use dad_run::RunHandle;
use dad_runner::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, Preview, RunSetup,
};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::command::ran::{Ran, with_literals};
use crate::http;
use crate::process::{self, Logs, Program};
use crate::sandbox::{self, Confinement, Sandbox, is_its_own_failure};
use crate::secret_text::{self, SecretPiece};
use crate::settings_node::settings_node;
use crate::shell::{self, CommandText, Refusal};
use crate::written::{self, Read, Ready, Written};

/// Seconds one command may take by default: long enough for a build.
const DEFAULT_TIMEOUT: f64 = 600.0;

/// What each output of a command may have by default, in MiB: more than a person reads, and no full disk.
const OUTPUT_MIB: u64 = 256;

/// The longest standard output that is read as JSON, in bytes.
const LONGEST_OUTPUT: u64 = 32 * 1024 * 1024;

settings_node!(
    /// Programs and shell commands.
    CommandNode,
    CommandNodeSettings,
    COMMAND
);

/// Which programs run, where and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandNodeSettings {
    /// Run one after the other: a list of arguments, or a string for `sh -c`.
    #[serde(default)]
    pub commands: Vec<CommandLine>,
    /// Where they run; the run directory by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Environment variables. `$secret{NAME}` in a value stands for a secret of the credentials file or the environment,
    /// which only the command sees.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub env_vars: IndexMap<String, String>,
    /// What each command may consume; as much as this process by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<CommandLimits>,
    /// What they see and may change: `true` for a sandbox without network, in which only the working directory can be changed.
    /// Only the definition itself can say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// Environment variables of this process that are passed on beside the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherit_env: Vec<InheritedVariable>,
    /// Seconds each command may take; 600 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// Whether the first command that fails is the last to run; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_fast: Option<bool>,
    /// What each command reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Whether each command has a terminal of its own, for programs that print or work otherwise without one. Its two outputs are
    /// then one, as a terminal shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pty: Option<bool>,
    /// How the standard output of the last command is read; as text by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<CommandOutput>,
    /// Whether a shell may read text as code that does not stand in the definition: values, answers of models, inputs.
    /// Only the definition itself can say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_generated: Option<bool>,
    /// Exit codes besides 0 that are no failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_exit_codes: Vec<i32>,
}

/// A variable of this process that a command is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum InheritedVariable {
    /// Its name. A re-run compares its value, unless the name is one of a secret.
    Name(String),
    /// Its name, and whether its value counts.
    Variable(CountedVariable),
}

/// A variable, and whether its value counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountedVariable {
    /// Its name.
    pub name: String,
    /// Whether a re-run executes the step again if the value is another one; true by default.
    #[serde(default = "counts")]
    pub fingerprint: bool,
}

const fn counts() -> bool {
    true
}

impl From<&str> for InheritedVariable {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl InheritedVariable {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Variable(variable) => &variable.name,
        }
    }

    /// Whether a re-run compares its value: a key that was changed does not make the step another one.
    #[must_use]
    pub fn is_compared(&self) -> bool {
        let counts = match self {
            Self::Name(_) => true,
            Self::Variable(variable) => variable.fingerprint,
        };
        counts && !process::is_secret(self.name())
    }
}

/// What recorded settings of a command or a request use and a re-run does not compare, as the settings name it.
#[must_use]
pub fn not_compared(settings: &Value) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, text) in env_texts(settings) {
        found.extend(secret_text::named(text));
    }
    found.extend(http::named_secrets(settings));
    let inherited = settings
        .get("inherit_env")
        .map(Vec::<InheritedVariable>::deserialize);
    let inherited = inherited.and_then(Result::ok).unwrap_or_default();
    let inherited = inherited.iter().filter(|variable| !variable.is_compared());
    found.extend(inherited.map(|variable| variable.name().to_owned()));
    found.sort();
    found.dedup();
    found
}

/// What a command and each of its processes may consume. The shell sets the limits, by `ulimit`, but for that of its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandLimits {
    /// Seconds of processor time of a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Address space of a process, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// What each of its two outputs may print, in MiB; 256 by default. A command that prints more is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_mib: Option<u64>,
    /// Size of a file that a process writes, in MiB. What it prints is in no file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size_mib: Option<u64>,
    /// Files that a process has open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Processes of the user, those beside the command too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
}

impl CommandLimits {
    /// How many bytes of each output are kept.
    fn longest_output(&self) -> u64 {
        self.output_mib.unwrap_or(OUTPUT_MIB).saturating_mul(1 << 20)
    }

    /// The command behind the limits; it replaces the shell that sets them.
    fn around(&self, argv: Vec<String>) -> Vec<String> {
        // In units of 512 and of 1024 bytes.
        let limits = [
            ("-t", self.cpu_seconds, 1),
            ("-v", self.memory_mib, 1024),
            ("-f", self.file_size_mib, 2048),
            ("-n", self.open_files, 1),
        ];
        let set = |(option, limit, unit): (&str, Option<u64>, u64)| {
            limit.map(|limit| format!("ulimit {option} {} &&", limit.saturating_mul(unit)))
        };
        let mut script: Vec<String> = limits.into_iter().filter_map(set).collect();
        if let Some(limit) = self.processes {
            // Shells disagree about its letter.
            script.push(format!(
                "{{ ulimit -u {limit} 2>/dev/null || ulimit -p {limit}; }} &&"
            ));
        }
        if script.is_empty() {
            return argv;
        }
        script.push("exec \"$@\"".to_owned());
        let words = ["sh", "-c", &script.join(" "), "sh"];
        words.into_iter().map(str::to_owned).chain(argv).collect()
    }
}

/// One command.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum CommandLine {
    /// A text for `sh -c`. Values in it are never read as code: each reaches a program as one word.
    Shell(String),
    /// A program and its arguments. Numbers and booleans among them are given as text.
    Arguments(#[schemars(with = "Vec<Argument>")] Vec<String>),
}

/// What may stand among arguments, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Argument {
    Text(String),
    Number(f64),
    Boolean(bool),
}

/// By hand, so that the error says which argument is none.
impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(value).map_err(serde::de::Error::custom)
    }
}

impl CommandLine {
    fn from_json(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self::Shell(text)),
            Value::Array(items) => {
                let arguments = items.iter().enumerate().map(|(index, item)| match item {
                    Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                        Ok(dad_template::Value::from(item).to_text())
                    }
                    other => Err(format!("argument {index} must be a text, it is `{other}`")),
                });
                Ok(Self::Arguments(arguments.collect::<Result<_, _>>()?))
            }
            other => Err(format!(
                "a command is a text or a list of arguments, not `{other}`"
            )),
        }
    }
}

impl From<&str> for CommandLine {
    fn from(text: &str) -> Self {
        Self::Shell(text.to_owned())
    }
}

impl<const N: usize> From<[&str; N]> for CommandLine {
    fn from(arguments: [&str; N]) -> Self {
        Self::Arguments(arguments.map(str::to_owned).to_vec())
    }
}

/// An argument as a shell would read it back.
pub(crate) fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    match !argument.is_empty() && argument.chars().all(is_plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

/// How an output is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandOutput {
    /// As it is.
    Text,
    /// As one JSON document; lines of other text before it are left out.
    Json,
    /// As a JSON document a line.
    Jsonl,
}

/// What can be given to a command from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandNodeInput {
    /// More environment variables.
    #[serde(default)]
    pub env_vars: IndexMap<String, String>,
    /// Other commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<CommandLine>>,
    /// A merge patch over the rendered settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings_override: Option<Value>,
}

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
        let problem = |place: String, code, message| SettingsProblem {
            place,
            code,
            message,
            hint: None,
        };
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
            .position(|variable| variable.name() == process::ORIGIN_KEY);
        let origin_key = origin_key.map(|index| {
            let message = format!("`{}` signs runs, and no command is given it", process::ORIGIN_KEY);
            problem(format!("inherit_env[{index}]"), "inherit_env", message)
        });
        unnameable.chain(timeout).chain(origin_key).collect()
    }

    fn check_requirements(settings: &CommandNodeSettings, setup: &RunSetup<'_>) -> Result<(), NodeError> {
        process::check_texts(settings.inherit_env.iter().map(InheritedVariable::name))?;
        secret_text::check_start(settings.env_vars.values(), setup)?;
        sandbox::check_start([settings.sandbox.as_ref()].into_iter(), setup)
    }

    fn compile(unrendered: &Value) -> Compiled {
        let read = read_commands(unrendered);
        let problems = problems_of_text(unrendered, &read);
        let (written, commands) = Written::found(unrendered, read);
        let secrets = secret_text::pieces_of_variables(unrendered);
        let values = match commands.is_null() && secrets.is_empty() {
            true => Value::Null,
            false => json!({ "commands": commands, "env_vars": secrets }),
        };
        Compiled {
            problems,
            prepared: Some(Prepared {
                found: Arc::new(written),
                values,
            }),
            ..Compiled::default()
        }
    }
}

/// What the person who approves is to know: only what stands in the preview is compared again before it executes.
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
    /// What was written counts for the author's own; of other commands, and of those that came since, nothing is known.
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
        Ok(Preview {
            facts,
            shown: shown.collect::<Vec<_>>().join("\n"),
        })
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
        process::values_of(compared.map(InheritedVariable::name))
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
    let secret = |place: String, message: String| SettingsProblem {
        place,
        code: "secret",
        message,
        hint: Some("name a secret in `env_vars`, as `$secret{NAME}`, and use the variable".to_owned()),
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

/// The values of environment variables, with their names.
fn env_texts(unrendered: &Value) -> impl Iterator<Item = (&str, &str)> {
    let variables = unrendered.get("env_vars").and_then(Value::as_object);
    let variables = variables.into_iter().flatten();
    variables.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
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
        SettingsProblem {
            place,
            code: self.code,
            message: self.message,
            hint: Some(self.hint),
        }
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
            let finished = process::run(&program, &mut logs, cx).await;
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
        process::check_texts(inherited())?;
        secret_text::mask(process::inherited_secrets(inherited()), cx.run().secrets());
        let mut given = self.settings.env_vars.clone();
        for (name, pieces) in &self.secrets {
            // Another value may have been given since, which is data as well.
            if given.get(name) == Some(&secret_text::shown(pieces)) {
                given.insert(name.clone(), secret_text::resolve(pieces, cx)?);
            }
        }
        given.extend(self.given.clone());
        Ok(process::environment(inherited(), given.into_iter()))
    }
}
