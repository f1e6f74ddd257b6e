//! An agent that analyses a source tree and changes it.
//!
//! The agent exists twice: as the file `agents/autocoder/agent.yaml`, which `dhenara run agent autocoder` finds, and
//! built in Rust by [`agent`]. Both are the same definition.

use dhenara::definition::Problems;
use dhenara::nodes::{
    AIModelCallConfig, ContentReadMode, FolderAnalysisOperation, FolderOperationType, StructuredOutput,
};
use dhenara::template::escape;
use dhenara::{
    AIModelNode, AgentBuilder, AgentDefinition, CommandNode, FileOperationNode, FlowBuilder,
    FolderAnalyzerNode, ObjectTemplate,
};

const TASK: &str = include_str!("../agents/autocoder/task.md");
const WORKING_COPY: &str = include_str!("../agents/autocoder/working_copy.sh");
const SCHEMA: &str = include_str!("../agents/autocoder/task_implementation.schema.json");
const PROMPT: &str = "# Task
$expr{task}

# The tree
$expr{ $hier{dynamic_repo_analysis}.outcome.results[0].tree_diagram }

# The files
$expr{ $hier{dynamic_repo_analysis}.outcome.results[1].analysis.children }";

/// The agent.
///
/// # Errors
/// If the definition is wrong, with everything that is.
pub fn agent() -> Result<AgentDefinition, Problems> {
    AgentBuilder::new("autocoder_root")
        .description(
            "Analyses a source tree, lets a model write a change, and makes the change in a working copy.",
        )
        .variable("source", "$var{project_root}/../..")
        .variable("repo", "$var{run_root}/global_data/workspace")
        .variable("task", TASK)
        .output("$expr{ $hier{code_generator}.outcome.structured.summary }")
        .flow("main_flow", main_flow())
        .build()
}

fn main_flow() -> FlowBuilder {
    FlowBuilder::new()
        .node("working_copy", working_copy())
        .node("dynamic_repo_analysis", dynamic_repo_analysis())
        .node("code_generator", code_generator())
        .node("code_generator_file_ops", code_generator_file_ops())
}

fn working_copy() -> CommandNode {
    let command = [
        "sh",
        "-ec",
        WORKING_COPY,
        "working_copy",
        "$expr{source}",
        "$expr{repo}",
    ];
    CommandNode::new([command])
}

fn dynamic_repo_analysis() -> FolderAnalyzerNode {
    let operations = [
        FolderAnalysisOperation::new(FolderOperationType::GetTreeDiagram)
            .path("crates")
            .max_depth(2),
        FolderAnalysisOperation::new(FolderOperationType::AnalyzeFolder)
            .path("examples/hello")
            .content_read_mode(ContentReadMode::Full)
            .flat(true),
    ];
    FolderAnalyzerNode::new(operations).base_directory("$expr{repo}")
}

fn code_generator() -> AIModelNode {
    // A schema is data: what looks like a template in it is none.
    let schema: serde_json::Value = serde_json::from_str(&escape(SCHEMA)).unwrap_or_default();
    let instructions = [
        "You are a careful programmer who changes as little as the task allows.",
        "Answer with the file operations that do the task, and nothing else.",
    ];
    AIModelNode::new(["openai/gpt-5.1"])
        .system_instructions(instructions)
        .prompt(PROMPT)
        .model_call_config(
            AIModelCallConfig::default()
                .max_output_tokens(4000)
                .structured_output(StructuredOutput::new(schema)),
        )
}

fn code_generator_file_ops() -> FileOperationNode {
    let operations = "$expr{ $hier{code_generator}.outcome.structured.file_operations }";
    FileOperationNode::default()
        .base_directory("$expr{repo}")
        .operations_template(ObjectTemplate::new(operations))
        .stage(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_file_and_the_builder_are_one_definition() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = project.join("agents/autocoder/agent.yaml");
        let loaded = dad_definition::load_file(&file, Some(project)).unwrap();
        assert_eq!(loaded.definition, *super::agent().unwrap().definition());
    }
}
