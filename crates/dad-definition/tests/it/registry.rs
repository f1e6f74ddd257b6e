//! Node types with settings like those of the real ones.

use std::collections::BTreeMap;

use dad_core::NodeType;
use dad_definition::{Compiled, NodeTypeInfo, NodeTypes, SettingsProblem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandSettings {
    pub(crate) commands: Vec<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) working_dir: Option<String>,
    pub(crate) timeout: Option<f64>,
    #[serde(default)]
    pub(crate) env_vars: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) fail_fast: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Command {
    Shell(String),
    Program(Vec<String>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FolderSettings {
    pub(crate) base_directory: Option<String>,
    pub(crate) operations: Vec<FolderOperation>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FolderOperation {
    pub(crate) operation_type: OperationType,
    pub(crate) path: Option<OneOrMany>,
    pub(crate) max_depth: Option<u32>,
    pub(crate) content_read_mode: Option<ReadMode>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationType {
    AnalyzeFolder,
    /// One file.
    AnalyzeFile,
    FindFiles,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReadMode {
    None,
    Full,
    Structure,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSettings {
    #[serde(default)]
    pub(crate) operations: Vec<FileOperation>,
    pub(crate) operations_template: Option<Value>,
    pub(crate) base_directory: Option<String>,
    #[serde(default)]
    pub(crate) stage: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum FileOperation {
    CreateFile { path: String, content: String },
    DeleteFile { path: String },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelSettings {
    pub(crate) models: Vec<String>,
    pub(crate) prompt: Option<PromptSetting>,
    #[serde(default)]
    pub(crate) system_instructions: Vec<String>,
    pub(crate) model_call_config: Option<ModelCallConfig>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum PromptSetting {
    Text(String),
    Prompt(Prompt),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prompt {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) variables: Map<String, Value>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelCallConfig {
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) structured_output: Option<Value>,
    #[serde(default)]
    pub(crate) options: Map<String, Value>,
}

pub(crate) struct Registry(BTreeMap<&'static str, NodeTypeInfo>);

impl Registry {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::from([
            ("command", info::<CommandSettings>()),
            ("folder_analyzer", info::<FolderSettings>()),
            ("file_operation", info::<FileSettings>()),
            ("ai_model_call", {
                let mut info = info::<ModelSettings>();
                info.compile = compile_model_call;
                info
            }),
        ]))
    }
}

fn info<T: JsonSchema>() -> NodeTypeInfo {
    let mut info = NodeTypeInfo::any(1);
    info.settings_schema = schemars::schema_for!(T).to_value();
    info
}

fn compile_model_call(settings: &Value) -> Compiled {
    let declared = settings.pointer("/prompt/variables").and_then(Value::as_object);
    let default = |value: &Value| value.get("default").cloned().unwrap_or_default();
    let prompt_variables = declared.into_iter().flatten();
    let streams = settings.pointer("/model_call_config/streaming").is_some();
    let refused = streams.then(|| {
        SettingsProblem::unsupported(
            "model_call_config.streaming",
            "answers are always streamed to disk",
        )
    });
    {
        let mut compiled = Compiled::default();
        compiled.problems = refused.into_iter().collect();
        compiled.prompt_variables = prompt_variables
            .map(|(name, value)| (name.clone(), default(value)))
            .collect();
        compiled
    }
}

impl NodeTypes for Registry {
    fn names(&self) -> Vec<&str> {
        self.0.keys().copied().collect()
    }

    fn node_type(&self, node_type: &NodeType) -> Option<&NodeTypeInfo> {
        self.0.get(node_type.as_str())
    }
}
