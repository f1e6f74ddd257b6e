//! The plan of a re-run says nothing that its execution does not do.

use std::cell::Cell;
use std::path::Path;

use dad_core::Definition;
use dad_definition::load_str;
use dad_run::{Decision, RunView};
use dad_runner::{RunReport, Runner};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::context;

/// A part of a definition, with the edit that is made to it before the re-run.
#[derive(Clone, Debug)]
enum Part {
    Step {
        world: &'static str,
        reuse: &'static str,
        refers_to_step_before: bool,
        is_edited: bool,
    },
    Flow {
        body: Vec<Part>,
        finally: Vec<Part>,
    },
    Parallel(Vec<Part>),
    Conditional {
        is_edited: bool,
        branches: [Vec<Part>; 2],
    },
    ForEach {
        count: u8,
        concurrency: u8,
        edit: Edit,
        body: Vec<Part>,
    },
    Repeat {
        passes: u8,
        is_edited: bool,
        body: Vec<Part>,
    },
}

/// The edit of a loop.
#[derive(Clone, Copy, Debug)]
enum Edit {
    None,
    OneMore,
    Reversed,
}

/// The options of a re-run.
#[derive(Clone, Debug)]
struct Options {
    is_fresh: bool,
    /// The content of the file that steps read, in the re-run.
    is_file_edited: bool,
    /// A step that is requested to execute, by its position among the entries of the first run.
    execute: Option<prop::sample::Index>,
    /// An entry point, in the same way.
    entry: Option<prop::sample::Index>,
}

fn parts(depth: u32) -> BoxedStrategy<Vec<Part>> {
    prop::collection::vec(part(depth), 1..4).boxed()
}

fn part(depth: u32) -> BoxedStrategy<Part> {
    let step = (
        prop::sample::select(vec!["pure", "reads", "effect"]),
        prop::sample::select(vec!["auto", "auto", "auto", "always", "never"]),
        any::<bool>(),
        prop::bool::weighted(0.2),
    );
    let step = step.prop_map(|(world, reuse, refers_to_step_before, is_edited)| Part::Step {
        world,
        reuse,
        refers_to_step_before,
        is_edited,
    });
    if depth == 0 {
        return step.boxed();
    }
    let below = || parts(depth - 1);
    let is_edited = || prop::bool::weighted(0.3);
    let edit = prop::sample::select(vec![Edit::None, Edit::OneMore, Edit::Reversed]);
    prop_oneof![
        4 => step,
        1 => (below(), below()).prop_map(|(body, finally)| Part::Flow { body, finally }),
        1 => below().prop_map(Part::Parallel),
        1 => (is_edited(), below(), below()).prop_map(|(is_edited, first, second)| Part::Conditional {
            is_edited,
            branches: [first, second],
        }),
        1 => (1..4_u8, 1..3_u8, edit, below()).prop_map(|(count, concurrency, edit, body)| Part::ForEach {
            count,
            concurrency,
            edit,
            body,
        }),
        1 => (1..4_u8, is_edited(), below()).prop_map(|(passes, is_edited, body)| Part::Repeat {
            passes,
            is_edited,
            body,
        }),
    ]
    .boxed()
}

fn options() -> impl Strategy<Value = Options> {
    let index = || prop::option::weighted(0.4, any::<prop::sample::Index>());
    let options = (
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.3),
        index(),
        index(),
    );
    options.prop_map(|(is_fresh, is_file_edited, execute, entry)| Options {
        is_fresh,
        is_file_edited,
        execute,
        entry,
    })
}

/// Writes parts as a definition, before or after they are edited.
struct Writer<'a> {
    names: u32,
    is_rerun: bool,
    file: &'a Path,
}

impl Writer<'_> {
    fn definition(mut self, parts: &[Part]) -> Definition {
        let elements = self.elements(parts);
        let flow = json!({ "schema_version": 1, "kind": "flow", "elements": elements });
        let loaded = load_str(&flow.to_string(), "flow.json", None, None);
        loaded.unwrap().definition
    }

    fn elements(&mut self, parts: &[Part]) -> Vec<Value> {
        let mut step_before = None;
        let element = |part: &Part| {
            self.names += 1;
            let name = format!("e{}", self.names);
            let element = self.element(part, &name, step_before.as_deref());
            step_before = matches!(part, Part::Step { .. }).then_some(name);
            element
        };
        parts.iter().map(element).collect()
    }

    fn element(&mut self, part: &Part, name: &str, step_before: Option<&str>) -> Value {
        let is_edited = |edited: &bool| self.is_rerun && *edited;
        match part {
            Part::Step {
                world,
                reuse,
                refers_to_step_before,
                is_edited: edited,
            } => {
                let word = if is_edited(edited) { "edited" } else { "made" };
                let read = step_before.filter(|_| *refers_to_step_before);
                let read = read.map(|step| format!(" $expr{{$hier{{{step}}}.outcome.value}}"));
                let settings = match *world {
                    "reads" => json!({ "value": word, "file": self.file }),
                    world => {
                        json!({ "value": format!("{word}{}", read.unwrap_or_default()), "world": world })
                    }
                };
                let node_type = if *world == "reads" { "reads" } else { "echo" };
                json!({ "node": name, "type": node_type, "reuse": reuse, "settings": settings })
            }
            Part::Flow { body, finally } => {
                json!({ "subflow": name, "elements": self.elements(body), "finally": self.elements(finally) })
            }
            Part::Parallel(parts) => {
                // Elements beside each other must not refer to each other.
                let elements: Vec<Value> = parts
                    .iter()
                    .flat_map(|part| self.elements(std::slice::from_ref(part)))
                    .collect();
                json!({ "parallel": name, "elements": elements })
            }
            Part::Conditional {
                is_edited: edited,
                branches: [first, second],
            } => {
                let statement = format!("$expr{{ {} }}", !is_edited(edited));
                json!({
                    "conditional": name,
                    "statement": statement,
                    "true_branch": self.elements(first),
                    "false_branch": self.elements(second),
                })
            }
            Part::ForEach {
                count,
                concurrency,
                edit,
                body,
            } => {
                let mut items: Vec<u8> = (0..*count).collect();
                match edit {
                    Edit::OneMore if self.is_rerun => items.push(*count),
                    Edit::Reversed if self.is_rerun => items.reverse(),
                    _ => {}
                }
                json!({
                    "for_each": name,
                    "statement": format!("$expr{{ {items:?} }}"),
                    "max_concurrency": concurrency,
                    "body": self.elements(body),
                })
            }
            Part::Repeat {
                passes,
                is_edited: edited,
                body,
            } => {
                let passes = passes + u8::from(is_edited(edited));
                json!({
                    "repeat": name,
                    "until": format!("$expr{{ pass + 1 >= {passes} }}"),
                    "index_var": "pass",
                    "max_iterations": 9,
                    "body": self.elements(body),
                })
            }
        }
    }
}

async fn run_parts(parts: &[Part], project: &Path, rerun: Option<(&Options, &RunView)>) -> RunReport {
    let file = project.join("read.txt");
    let is_edited = rerun.is_some_and(|(options, _)| options.is_file_edited);
    #[expect(clippy::disallowed_methods, reason = "a file outside of any run")]
    std::fs::write(&file, if is_edited { "edited" } else { "made" }).unwrap();
    let writer = Writer {
        names: 0,
        is_rerun: rerun.is_some(),
        file: &file,
    };
    let mut context = context(project);
    if let Some((options, first)) = rerun {
        let paths: Vec<_> = first.entries().map(|(path, _)| path).collect();
        let steps: Vec<_> = first.steps().map(|step| &step.path).collect();
        context = context.previous_run_id("last");
        match &options.entry {
            Some(entry) => context = context.start_hierarchy_path(entry.get(&paths).as_str()),
            None => {
                context = context.fresh(options.is_fresh);
                if let Some(step) = &options.execute {
                    context = context.execute_anew(step.get(&steps).as_str());
                }
            }
        }
    }
    let definition = writer.definition(parts);
    let ended = Runner::new(definition, context.build().unwrap()).run().await;
    ended.unwrap_or_else(|error| panic!("{error}: {parts:?}"))
}

/// Says every certain decision of the plan that the run did not follow.
fn broken_promises(view: &RunView) -> Vec<String> {
    let plan = view.plan().unwrap().unwrap();
    let broken = plan.steps.iter().filter(|planned| {
        let is_reused = view.step(&planned.path).map(|step| step.reused_from.is_some());
        match planned.decision {
            Decision::Reuse { .. } => is_reused != Some(true),
            Decision::Execute => is_reused != Some(false),
            Decision::DependsOn { .. } => false,
        }
    });
    let broken = broken.map(|planned| format!("{planned:?}"));
    broken.collect()
}

#[test]
fn an_undisturbed_rerun_follows_its_plan() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    };
    let certain = Cell::new((0, 0));
    let checked = TestRunner::new(config).run(&(parts(2), options()), |(parts, options)| {
        let project = tempfile::tempdir().unwrap();
        let view = runtime.block_on(async {
            let first = run_parts(&parts, project.path(), None).await;
            let first = RunView::open(&first.run_dir).unwrap();
            let rerun = run_parts(&parts, project.path(), Some((&options, &first))).await;
            RunView::open(&rerun.run_dir).unwrap()
        });
        prop_assert_eq!(broken_promises(&view), Vec::<String>::new());
        let (reused, executed, _) = view.plan().unwrap().unwrap().counts();
        let (all_reused, all_executed) = certain.get();
        certain.set((all_reused + reused, all_executed + executed));
        Ok(())
    });
    checked.unwrap();
    let (reused, executed) = certain.get();
    assert!(
        reused > 50 && executed > 50,
        "too little was certain: {reused} reused, {executed} executed"
    );
}
