//! A conversation with a model: a loop whose step asks what is said.
//!
//! The agent exists twice: as the file `agents/chatbot/agent.yaml`, which `dhenara run agent chatbot` finds, and built in
//! Rust by [`agent`]. Both are the same definition. [`ask`] is the handler that asks at the terminal.

use std::error::Error;
use std::path::Path;

use dhenara::definition::Problems;
use dhenara::nodes::{AIModelCallConfig, OneOrMany, PromptVariable};
use dhenara::{
    AIModelNode, AgentBuilder, AgentDefinition, AgentRunner, FlowBuilder, HandlerError,
    NodeInputRequiredEvent, OnExhausted, Project, Prompt, RepeatBuilder, async_input,
    get_ai_model_node_input,
};

/// The prompt of the turn before holds the conversation up to then.
const PROMPT: &str = r#"$expr{ $hier{turn.previous.reply}.settings.prompt.text || "" }
$expr{ $hier{turn.previous.reply}.outcome.text || "" }
> $var{message}"#;

/// The agent.
///
/// # Errors
/// If the definition is wrong, with everything that is.
pub fn agent() -> Result<AgentDefinition, Problems> {
    let until = "$expr{ $hier{reply}.input.prompt_variables.message == 'bye' }";
    let body = FlowBuilder::new().node("reply", reply().builder().pre_events(["node_input_required"]));
    let turn = RepeatBuilder::new(until, 100, body).on_exhausted(OnExhausted::Continue);
    AgentBuilder::new("chatbot_root")
        .description("A conversation with a model, turn by turn, until the user says `bye`.")
        .variable("model", "ollama/llama3.2")
        .output("$expr{ $hier{turn.last.reply}.outcome.text }")
        .flow("conversation", FlowBuilder::new().repeat("turn", turn))
        .build()
}

fn reply() -> AIModelNode {
    AIModelNode::new(["$expr{model}"])
        .system_instructions(OneOrMany::Many(vec![
            "You are a friendly and brief partner in a conversation.".into(),
        ]))
        .prompt(Prompt::with_dad_text(
            PROMPT,
            [("message", PromptVariable::default())],
        ))
        .model_call_config(AIModelCallConfig::default().streaming(true))
}

/// Shows what the model said in the turn before, and asks what is said next.
///
/// # Errors
/// If the terminal cannot be used, or the turn before cannot be read.
pub async fn ask(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
    if let Some(before) = event.result("turn.previous.reply")? {
        let said = before["outcome"]["text"].as_str().unwrap_or_default();
        anstream::eprintln!("{}", dhenara::terminal::printable(said));
    }
    let mut input = get_ai_model_node_input(&event).await?;
    input
        .prompt_variables
        .insert("message", async_input("you: ").await?);
    event.set_input(input)?;
    Ok(())
}

/// With whom one talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partner {
    /// The model that the agent names.
    Model,
    /// The recorded answers of a model, from the cassette of the environment `offline`.
    Recorded,
}

/// Has a conversation and returns what was said last.
///
/// # Errors
/// If the project cannot be used, or the run fails.
pub async fn talk(project: &Path, partner: Partner) -> Result<String, Box<dyn Error>> {
    let project = Project::open(project)?.environment(match partner {
        Partner::Recorded => "offline",
        Partner::Model => "default",
    })?;
    let context = project.context("chatbot_root")?.on(ask).build()?;
    let report = AgentRunner::new(agent()?, context).run().await?;
    let last = report.output.unwrap_or_default();
    Ok(last.as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_file_and_the_builder_are_one_definition() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = project.join("agents/chatbot/agent.yaml");
        let loaded = dad_definition::load_file(&file, Some(project)).unwrap();
        assert_eq!(loaded.definition, *super::agent().unwrap().definition());
    }
}
