//! Settings become a step once, and are checked before and after they are rendered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use dad_core::RunStatus;
use dad_definition::{CallbackBuilder, FlowBuilder, SettingsProblem};
use dad_run::RunView;
use dad_runner::{
    BindContext, Bound, BoundStep, FlowRunner, Node, NodeContext, NodeError, NodeOutput, NodeRegistry,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::nodes::{node, registry};
use crate::{context, path, report, statuses};

/// Halves a number at its second attempt, and counts how often it is bound.
#[derive(Clone, Default)]
struct Halve {
    bound: Arc<AtomicU32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Number {
    #[serde(default)]
    number: u32,
    #[serde(default)]
    word: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Half {
    half: u32,
}

impl Node for Halve {
    type Settings = Number;
    type Input = ();
    type Outcome = Half;
    const TYPE: &'static str = "halve";

    fn bind(&self, settings: Number, _: Option<()>, _: &BindContext<'_>) -> Result<Bound<Half>, NodeError> {
        self.bound.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(settings))
    }

    fn check(settings: &Number) -> Vec<SettingsProblem> {
        let problem = |place: &str, message: String| SettingsProblem::new(place.to_owned(), "odd", message);
        let odd =
            (settings.number % 2 == 1).then(|| problem("number", format!("{} is odd", settings.number)));
        let word = settings.word.as_ref().filter(|word| *word != "even");
        let word = word.map(|word| problem("word", format!("`{word}` is no word for it")));
        odd.into_iter().chain(word).collect()
    }
}

#[async_trait]
impl BoundStep<Half> for Number {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput<Half>, NodeError> {
        if cx.attempt() == 1 {
            // Any error becomes one of a node, which another attempt may cure.
            "not a number".parse::<u32>()?;
        }
        Ok(NodeOutput::new(Half {
            half: self.number / 2,
        }))
    }
}

#[tokio::test]
async fn a_step_is_bound_once_for_all_attempts() {
    let project = tempfile::tempdir().unwrap();
    let halve = Halve::default();
    let nodes = registry().register_node(halve.clone());
    let retry = dad_core::RetryPolicy::default()
        .max_attempts(2)
        .initial_delay(std::time::Duration::from_millis(1))
        .repeat_effects(true);
    let step = node("halve", json!({ "number": "$expr{ 8 }" })).retry(retry);
    let flow = FlowBuilder::new().node("halve", step).build().unwrap();
    let context = context(project.path()).nodes(nodes).build().unwrap();
    let report = report(FlowRunner::new(flow, context).run().await);
    let view = RunView::open(&report.run_dir).unwrap();
    let result = view.result(&path("flow.halve")).unwrap();
    assert_eq!(
        (&result["outcome"], &result["attempt"]),
        (&json!({ "half": 4 }), &json!(2))
    );
    assert_eq!(halve.bound.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn settings_are_checked_before_and_after_they_are_rendered() {
    let project = tempfile::tempdir().unwrap();
    let start = |settings: serde_json::Value| {
        let nodes = registry().register_node(Halve::default());
        let step = node("halve", settings);
        let flow = FlowBuilder::new().variable("odd", 3).node("halve", step);
        let context = context(project.path()).nodes(nodes).build().unwrap();
        FlowRunner::new(flow.build().unwrap(), context).run()
    };
    let refused = start(json!({ "number": 3, "word": "even" })).await.unwrap_err();
    assert!(
        refused.report().is_none() && refused.to_string().contains("3 is odd"),
        "{refused}"
    );
    // Of a place that holds a template nothing is known yet, of the others everything.
    let refused = start(json!({ "number": "$expr{ odd }", "word": "uneven" }))
        .await
        .unwrap_err();
    let reported = refused.to_string();
    assert!(refused.report().is_none(), "{reported}");
    assert!(
        reported.contains("`uneven` is no word") && !reported.contains("is odd"),
        "{reported}"
    );
    for (settings, reported) in [
        (
            json!({ "number": "$expr{ odd }" }),
            "in settings, `number`: 3 is odd",
        ),
        (
            json!({ "number": 2, "word": "w$expr{ odd }" }),
            "in settings, `word`: `w3` is no word for it",
        ),
    ] {
        let failed = report(start(settings).await);
        assert_eq!(failed.status, RunStatus::Failed);
        let error = failed.error.clone().unwrap();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("odd", reported));
        let view = RunView::open(&failed.run_dir).unwrap();
        assert!(
            view.step_file::<serde_json::Value>(&path("flow.halve"), "state.json")
                .unwrap()
                .is_none()
        );
        assert_eq!(statuses(&failed).len(), 1);
    }
}

/// A node without settings.
#[derive(Default)]
struct Bare;

impl Node for Bare {
    type Settings = ();
    type Input = ();
    type Outcome = u8;
    const TYPE: &'static str = "bare";

    fn bind(&self, (): (), _: Option<()>, _: &BindContext<'_>) -> Result<Bound<u8>, NodeError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl BoundStep<u8> for Bare {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput<u8>, NodeError> {
        Ok(NodeOutput::new(7))
    }
}

#[tokio::test]
async fn nothing_needs_to_be_given_to_what_takes_nothing() {
    async fn count((): (), _: NodeContext) -> Result<u8, NodeError> {
        Ok(8)
    }
    let project = tempfile::tempdir().unwrap();
    let nodes = NodeRegistry::new()
        .register::<Bare>()
        .pure_callback("count", count);
    let flow = FlowBuilder::new()
        .node("bare", node("bare", json!({})))
        .callback("count", CallbackBuilder::new("count"))
        .build()
        .unwrap();
    let context = context(project.path()).nodes(nodes).build().unwrap();
    let report = FlowRunner::new(flow, context).run().await.unwrap();
    let view = RunView::open(&report.run_dir).unwrap();
    let outcome = |step: &str| view.result(&path(step)).unwrap()["outcome"].clone();
    assert_eq!(outcome("flow.bare"), 7);
    assert_eq!(outcome("flow.count"), json!({ "callable_result": 8 }));
}
