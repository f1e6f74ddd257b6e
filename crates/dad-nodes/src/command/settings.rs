//! The settings and the input of a command.

use crate::environment;
use crate::sandbox::Sandbox;
use crate::secret_text;
use crate::settings_node::{setters, settings_node};
use derive_setters::Setters;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

settings_node!(
    /// Programs and shell commands.
    CommandNode,
    CommandNodeSettings,
    COMMAND
);

/// Which programs run, where and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct CommandNodeSettings {
    /// Run one after the other: a list of arguments, or a string for `sh -c`.
    #[serde(default)]
    #[setters(skip)]
    pub commands: Vec<CommandLine>,
    /// The directory of the commands; the run directory by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub working_dir: Option<String>,
    /// Environment variables. `$secret{NAME}` in a value stands for a secret of the credentials file or the environment,
    /// which only the command sees.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[setters(skip)]
    pub env_vars: IndexMap<String, String>,
    /// The limits of each command; those of this process by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub limits: Option<CommandLimits>,
    /// The sandbox: `true` for one without network, in which only the working directory can be changed.
    /// Only the definition itself can say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub sandbox: Option<Sandbox>,
    /// Environment variables of this process that are passed on beside the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub inherit_env: Vec<InheritedVariable>,
    /// Seconds each command may take; 600 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// Whether the first command that fails is the last to run; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_fast: Option<bool>,
    /// The standard input of each command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub stdin: Option<String>,
    /// Whether each command has a terminal of its own, for programs that print or work otherwise without one. Its two outputs are
    /// then one, as a terminal shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pty: Option<bool>,
    /// The form of the last command's standard output; text by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub output: Option<CommandOutput>,
    /// Whether a shell may read text as code that does not stand in the definition: values, answers of models, inputs.
    /// Only the definition itself can say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_generated: Option<bool>,
    /// Exit codes besides 0 that are no failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub allow_exit_codes: Vec<i32>,
}

setters! {
    impl CommandNodeSettings {
        list commands: CommandLine;
        map env_vars: String;
        list inherit_env: InheritedVariable;
        list allow_exit_codes: i32;
    }
}

impl CommandNodeSettings {
    /// Commands, in their order.
    #[must_use]
    pub fn new(commands: impl IntoIterator<Item = impl Into<CommandLine>>) -> Self {
        Self::default().commands(commands)
    }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct CountedVariable {
    /// Its name.
    #[setters(into)]
    pub name: String,
    /// Whether a re-run executes the step again if the value is another one; true by default.
    #[serde(default = "counts")]
    pub fingerprint: bool,
}

impl CountedVariable {
    /// A variable whose value counts.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            fingerprint: counts(),
        }
    }
}

pub(super) const fn counts() -> bool {
    true
}

impl From<CountedVariable> for InheritedVariable {
    fn from(variable: CountedVariable) -> Self {
        Self::Variable(variable)
    }
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
        counts && !environment::is_secret(self.name())
    }
}

/// The limits of a command and each of its processes. The shell sets them, by `ulimit`, except that of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct CommandLimits {
    /// Seconds of processor time of a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Address space of a process, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// The largest size of each of its two outputs, in MiB; 256 by default. A command that prints more is ended.
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
    /// The number of bytes of each output that are kept.
    pub(super) fn longest_output(&self) -> u64 {
        self.output_mib.unwrap_or(OUTPUT_MIB).saturating_mul(1 << 20)
    }

    /// The command behind the limits; it replaces the shell that sets them.
    pub(super) fn around(&self, argv: Vec<String>) -> Vec<String> {
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

/// A value among arguments, for the schema.
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

impl From<String> for CommandLine {
    fn from(text: String) -> Self {
        Self::Shell(text)
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for CommandLine {
    fn from(arguments: [S; N]) -> Self {
        arguments.into_iter().collect()
    }
}

impl<S: Into<String>> From<Vec<S>> for CommandLine {
    fn from(arguments: Vec<S>) -> Self {
        arguments.into_iter().collect()
    }
}

impl<S: AsRef<str>> From<&[S]> for CommandLine {
    fn from(arguments: &[S]) -> Self {
        arguments.iter().map(AsRef::as_ref).collect()
    }
}

/// A command of a program and its arguments.
impl<S: Into<String>> FromIterator<S> for CommandLine {
    fn from_iter<I: IntoIterator<Item = S>>(arguments: I) -> Self {
        Self::Arguments(arguments.into_iter().map(Into::into).collect())
    }
}

/// The form of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CommandOutput {
    /// As it is.
    Text,
    /// As one JSON document; lines of other text before it are left out.
    Json,
    /// As a JSON document a line.
    Jsonl,
}

/// The input of a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct CommandNodeInput {
    /// More environment variables.
    #[serde(default)]
    #[setters(skip)]
    pub env_vars: IndexMap<String, String>,
    /// Other commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(skip)]
    pub commands: Option<Vec<CommandLine>>,
    /// A merge patch over the rendered settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub settings_override: Option<Value>,
}

setters! {
    impl CommandNodeInput {
        map env_vars: String;
        optional_list commands: CommandLine;
    }
}

/// The values of environment variables, with their names.
pub(crate) fn env_texts(unrendered: &Value) -> impl Iterator<Item = (&str, &str)> {
    let variables = unrendered.get("env_vars").and_then(Value::as_object);
    let variables = variables.into_iter().flatten();
    variables.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
}

/// The largest size of each output of a command by default, in MiB: more than a person reads, and no full disk.
const OUTPUT_MIB: u64 = 256;

/// The secrets and the variables of recorded settings whose values a re-run does not compare.
pub(crate) fn not_compared(settings: &Value) -> Vec<String> {
    let texts = env_texts(settings).map(|(_, text)| text);
    let mut found: Vec<String> = texts.flat_map(secret_text::named).collect();
    let inherited = settings
        .get("inherit_env")
        .map(Vec::<InheritedVariable>::deserialize);
    let inherited = inherited.and_then(Result::ok).unwrap_or_default();
    let inherited = inherited.iter().filter(|variable| !variable.is_compared());
    found.extend(inherited.map(|variable| variable.name().to_owned()));
    found
}
