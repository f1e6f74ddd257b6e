//! The command of a program that adds its own parts to it.
#![expect(
    clippy::disallowed_methods,
    reason = "a test makes the files that a user would have"
)]

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dad_cli::{App, exit_code};
use dad_core::NodeType;
use dad_definition::{FlowBuilder, NodeBuilder};
use dad_project::User;
use dad_testing::FakeModel;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// The program with a user who lives in a directory.
fn app(home: &Path) -> App {
    let key = "07".repeat(32);
    let variables = [
        ("HOME", home.to_string_lossy().into_owned()),
        ("DHENARA_ORIGIN_KEY", key),
    ];
    App::new().user_is(User::from_variables(variables.into_iter().collect()).unwrap())
}

#[test]
fn a_subcommand_of_the_program_gets_its_words() {
    let given = Arc::new(Mutex::new(Vec::new()));
    let home = tempfile::tempdir().unwrap();
    let greeting = |code: u8| {
        let given = Arc::clone(&given);
        move |words: Vec<OsString>| {
            *given.lock() = words;
            ExitCode::from(code)
        }
    };
    let words = ["tool", "greet", "Ada", "--loud", "-h", "--", "-x"];
    let ended = app(home.path())
        .command("greet", "Say hello", greeting(7))
        .run_from(words);
    assert_eq!(ended, ExitCode::from(7));
    assert_eq!(*given.lock(), ["Ada", "--loud", "-h", "--", "-x"]);
    let ended = app(home.path())
        .command("greet", "Say hello", greeting(0))
        .run_from(["tool", "greet"]);
    assert_eq!((ended, given.lock().len()), (ExitCode::SUCCESS, 0));
    // Any other is still a slip.
    let slip = app(home.path())
        .command("greet", "Say hello", greeting(0))
        .run_from(["tool", "great"]);
    assert_eq!(slip, ExitCode::from(exit_code::USAGE));
    for name in ["runs", "help"] {
        let doubled = app(home.path())
            .command(name, "Say hello", greeting(0))
            .run_from(["tool", "greet"]);
        assert_eq!(doubled, ExitCode::from(exit_code::BUG), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_its_own_flow_with_its_own_client_within_a_runtime() {
    let home = tempfile::tempdir().unwrap();
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir(project.path().join(".dhenara")).unwrap();
    let settings = json!({ "models": ["x/y"], "prompt": "Hello" });
    let flow = FlowBuilder::new()
        .node("ask", NodeBuilder::new(NodeType::AI_MODEL_CALL, settings))
        .build()
        .unwrap();
    let (client, contexts) = (FakeModel::by(|_| "Hello"), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&contexts);
    let program = || {
        let counted = Arc::clone(&counted);
        app(home.path())
            .flow("hello", flow.clone())
            .offline_models(client.clone())
            .resource(Arc::new(7_u32))
            .context(move |context| {
                assert_eq!(context.resources().get::<u32>().as_deref(), Some(&7));
                counted.fetch_add(1, Ordering::Relaxed);
                context
            })
    };
    let root = project.path().to_string_lossy().into_owned();
    let words = [
        "tool",
        "run",
        "flow",
        "hello",
        "--no-input",
        "--project-root",
        root.as_str(),
    ];
    // To wait in the middle of a runtime would stop its thread.
    assert_eq!(program().run_from(words), ExitCode::from(exit_code::BUG));
    assert_eq!(program().run_async(words).await, ExitCode::SUCCESS);
    assert_eq!(
        (client.requests().len(), contexts.load(Ordering::Relaxed)),
        (1, 1)
    );
    let runs = std::fs::read_dir(project.path().join("runs")).unwrap();
    let outcome = runs
        .map(|run| run.unwrap().path().join("hello_root/ask/outcome.json"))
        .find(|outcome| outcome.is_file())
        .unwrap();
    let outcome = std::fs::read(outcome).unwrap();
    let outcome: Value = serde_json::from_slice(&outcome).unwrap();
    assert_eq!(outcome["text"], "Hello");
    // A flow that is neither built in nor a file stays unknown.
    let unknown = ["tool", "run", "flow", "hallo", "--project-root", root.as_str()];
    assert_eq!(
        program().run_async(unknown).await,
        ExitCode::from(exit_code::USAGE)
    );
}
