//! Tests of agents: scripted models, temporary projects, assertions on runs, and the replay of recorded ones.
//!
//! For programs that run agents, as a dev-dependency. No test needs the network, a key or the files of its user.
//!
//! - [`TestProject`]: a project in a temporary directory. When it is dropped, it verifies each run in it.
//! - [`FakeModel`]: a model client that answers from a script and records the requests.
//! - [`RunAssertions`]: assertions on a run, whose messages show the steps of the run.
//! - [`replay`]: executes an agent with the answers that a recorded run got.
//!
//! ```
//! use dad_core::NodeType;
//! use dad_definition::{CallbackBuilder, FlowBuilder, NodeBuilder};
//! use dad_nodes::builtin_nodes;
//! use dad_runner::{FlowRunner, NodeContext, NodeError};
//! use dad_testing::{FakeModel, RunAssertions, TestProject};
//! use serde_json::{Value, json};
//!
//! /// The function under test: the title, from the text that the model wrote.
//! async fn title(_: (), cx: NodeContext) -> Result<String, NodeError> {
//!     let written = cx.result("draft")?.unwrap_or_default();
//!     let text = written["outcome"]["text"].as_str().unwrap_or_default();
//!     Ok(text.lines().next().unwrap_or_default().to_uppercase())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let draft = NodeBuilder::new(NodeType::AI_MODEL_CALL, json!({ "models": ["any/model"], "prompt": "Write." }));
//! let flow = FlowBuilder::new()
//!     .node("draft", draft)
//!     .callback("title", CallbackBuilder::new("title"))
//!     .build()?;
//!
//! let model = FakeModel::answering(["The sea\nIt is wide."]);
//! let test = TestProject::new();
//! let project = test
//!     .project()
//!     .nodes(builtin_nodes().callback("title", title))
//!     .offline_models(model.clone());
//! let report = FlowRunner::new(flow, project.context("story")?.build()?).run().await?;
//!
//! report.assert_completed();
//! let outcome: Value = report.outcome("story.title")?;
//! assert_eq!(outcome["callable_result"], "THE SEA");
//! assert_eq!(model.prompts(), ["Write."]);
//! # Ok(())
//! # }
//! ```

mod assertions;
mod fake_answer;
mod fake_model;
mod project;
mod replay;

pub use assertions::RunAssertions;
pub use fake_answer::FakeAnswer;
pub use fake_model::FakeModel;
pub use project::TestProject;
pub use replay::{Replay, ReplayError, Replayed, replay};
