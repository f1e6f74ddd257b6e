//! The fragments of the specification in Rust, one function each, in the order of the specification.
//!
//! Every function takes the project it works in, as `Project::open` gives it, so that the tests of this package can execute it.

use std::error::Error;
use std::path::Path;

use dhenara::definition::Problems;
use dhenara::nodes::{
    AIModelNodeInput, CommandNodeInput, FolderAnalysisOperation, FolderOperationType, PromptVariable,
};
use dhenara::{
    AIModelNode, AgentBuilder, AgentDefinition, AgentRunner, CommandNode, CompleteRun, ElementId,
    FileOperationNode, FlowBuilder, FlowDefinition, FlowRunner, FolderAnalyzerNode, HandlerError,
    NodeInputRequiredEvent, NodeType, ObjectTemplate, ObservabilitySettings, Project, ProjectError, Prompt,
    RunContext, RunReport, SetupError, async_input, get_ai_model_node_input, get_folder_analyzer_node_input,
    on, print_component_completion, print_node_completion,
};

/// An agent small enough to be executed anywhere; the fragments call it `my_agent`.
///
/// # Errors
/// If the definition is wrong.
pub fn my_agent() -> Result<AgentDefinition, Problems> {
    let greet = CommandNode::new([["echo", "hello"]]);
    let flow = FlowBuilder::new()
        .node("node2", greet.clone())
        .node("node3", greet);
    AgentBuilder::new("my_agent").flow("flow1", flow).build()
}

/// *RunContext*: a context with a run root and observability settings, set up with a prefix.
///
/// # Errors
/// If the run cannot be set up.
pub fn create_a_run_context(
    project: &Project,
    my_observability_settings: ObservabilitySettings,
) -> Result<dhenara::ActiveRun, ProjectError> {
    let run_context = project
        .context("my_agent")?
        .run_root(project.root().join("runs"))
        .observability_settings(my_observability_settings)
        .run_id_prefix("test")
        .build()?;
    Ok(run_context.setup_run(&my_agent()?)?)
}

/// *Setting up the Run Context*: handlers for questions and completions, then a runner.
///
/// # Errors
/// If the definition or the project is wrong.
pub fn set_up_an_agent_runner(
    agent: AgentDefinition,
    project: &Project,
) -> Result<AgentRunner, ProjectError> {
    // A root id is assigned to the agent; the context has the same.
    let root_component_id = ElementId::new("autocoder_root").map_err(SetupError::RootId)?;
    let agent = agent.with_root_id(root_component_id.clone());
    let run_context = project
        .context(root_component_id.as_str())?
        // `Some(settings)` switches tracing on.
        .observability_settings(None::<ObservabilitySettings>)
        // Useful when a project has several agents.
        .run_root_subpath("agent_autocoder")
        .register_event_handlers([
            on(node_input_event_handler),
            on(print_node_completion),
            on(print_component_completion),
        ])
        .build()?;
    Ok(AgentRunner::new(agent, run_context))
}

/// *Run Lifecycle*: initialise, set up, execute, complete. The runner of `new` does all of it; here its owner does.
///
/// # Errors
/// The error of the run, which is sealed in any case.
pub async fn run_lifecycle(project: &Project) -> Result<RunReport, Box<dyn Error>> {
    let my_agent = my_agent()?;
    let run_context = project.context("my_agent")?.build()?;
    let run = run_context.setup_run(&my_agent)?;

    let ended = AgentRunner::within(&my_agent, &run).run().await;
    run.complete(&ended).await?;
    Ok(ended?)
}

/// *Re-runs and Continuations*: a run that starts from a previous one at a node.
///
/// # Errors
/// If there is no such run or node, or the re-run fails.
pub async fn continue_from(project: &Project, previous_run_id: &str) -> Result<RunReport, Box<dyn Error>> {
    let run_context = project
        .context("my_agent")?
        .previous_run_id(previous_run_id)
        .start_hierarchy_path("my_agent.flow1.node3")
        .build()?;
    Ok(AgentRunner::new(my_agent()?, run_context).run().await?)
}

/// *Static Inputs*: registered for a node, or read from a file.
///
/// # Errors
/// If there is no such node, or the input does not fit it.
pub fn static_inputs(project: &Project, file: &Path) -> Result<RunContext, ProjectError> {
    let input = CommandNodeInput::default().env_vars([("param1", "value1")]);
    let run_context = project
        .context("my_agent")?
        .static_inputs(file)
        .register_node_static_input("node2", input);
    Ok(run_context.build()?)
}

/// *Integration with Event System*: a handler that answers the questions of AI model nodes and folder analyzers.
///
/// # Errors
/// If the terminal cannot be used, or the question was answered before.
pub async fn node_input_event_handler(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
    if event.node_type == NodeType::AI_MODEL_CALL {
        let mut node_input: AIModelNodeInput = get_ai_model_node_input(&event).await?;
        // What only the person at the terminal knows.
        let task_description = async_input("Enter your query: ").await?;
        node_input
            .prompt_variables
            .insert("task_description", task_description);
        event.set_input(node_input)?;
    } else if event.node_type == NodeType::FOLDER_ANALYZER {
        event.set_input(get_folder_analyzer_node_input(&event).await?)?;
    }
    Ok(())
}

/// *Integration with Runners*: a runner of an agent, and one of a flow.
///
/// # Errors
/// If one of the runs fails.
pub async fn run_agent_and_flow(
    run_context: RunContext,
    my_flow: FlowDefinition,
    flow_context: RunContext,
) -> Result<[RunReport; 2], Box<dyn Error>> {
    let runner = AgentRunner::new(my_agent()?, run_context);
    let result = runner.run().await?;
    let flow_runner = FlowRunner::new(my_flow, flow_context);
    let flow_result = flow_runner.run().await?;
    Ok([result, flow_result])
}

/// *Global Data Directory*: an analysis and a change of files that runs share.
///
/// # Errors
/// If the definition is wrong.
pub fn implementation_flow() -> Result<FlowDefinition, Problems> {
    let global_data_directory = "$var{run_root}/global_data";
    let operations = [FolderAnalysisOperation::new(FolderOperationType::FindFiles)];
    FlowBuilder::new()
        .node(
            "dynamic_repo_analysis",
            FolderAnalyzerNode::new(operations).base_directory(global_data_directory),
        )
        .node(
            "code_generator",
            code_generator().builder().pre_events(["node_input_required"]),
        )
        .node(
            "code_generator_file_ops",
            FileOperationNode::default()
                .base_directory(global_data_directory)
                .operations_template(ObjectTemplate::new(
                    "$expr{$hier{code_generator}.outcome.structured.file_operations}",
                ))
                .stage(true),
        )
        .build()
}

fn code_generator() -> AIModelNode {
    AIModelNode::new(["openai/gpt-5.1"]).prompt(Prompt::with_dad_text(
        "Task: $var{task_description}",
        [("task_description", PromptVariable::default())],
    ))
}
