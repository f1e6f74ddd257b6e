//! Journals that are damaged and yet bound line by line: no reader panics, hangs, or takes them for the user's own.

use std::path::Path;

use dad_tests::Draw;
use dhenara::run::{Answer, Catalog, Dirs, Origin, OriginKey, Repair, RunView};
use dhenara::runner::Runner;
use dhenara::types::Definition;
use dhenara::{RunContext, builtin_nodes};
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, journal};

const FLOW: &str = r#"
schema_version: 1
kind: flow
root_id: f
elements:
  - { node: first, type: command, settings: { commands: [[echo, one]] } }
  - for_each: each
    statement: "$expr{ [1, 2] }"
    body:
      - { node: inside, type: command, on_error: continue, settings: { commands: [[test, "$expr{item}", "=", "1"]] } }
  - conditional: choice
    statement: "$expr{ true }"
    true_branch:
      - { node: taken, type: command, retry: { max_attempts: 2, initial_delay: 0.001 }, on_error: continue, settings: { commands: [["false"]] } }
  - { node: asks, type: command, requires_approval: true, settings: { commands: [[echo, agreed]] } }
"#;

/// The binding of a damaged journal.
#[derive(Clone, Copy)]
enum Bound {
    /// By one who has the key.
    Signed,
    /// By one who has not: the codes stay, or there are none.
    Summed,
}

fn write_journal(run: &Path, records: &[Value], bound: Bound, draw: &mut Draw) {
    let text = match bound {
        Bound::Signed => dad_tests::seal(records),
        Bound::Summed => {
            let mut records = records.to_vec();
            if draw.below(3) == 0 {
                for record in records.iter_mut().filter_map(Value::as_object_mut) {
                    record.shift_remove("mac");
                }
            }
            let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
            dad_tests::with_sums(&lines)
        }
    };
    std::fs::write(run.join(".run/journal.jsonl"), text).unwrap();
}

/// Has everything read that a program can read of a run.
fn read_all(view: &RunView) {
    drop((
        view.verify(),
        view.definition(),
        view.plan(),
        view.given_variables(),
    ));
    drop(view.inputs().collect::<Vec<_>>());
    drop(view.places().collect::<Vec<_>>());
    for question in view.open_questions() {
        drop(view.question(&question.id));
    }
    for (path, _) in view.entries() {
        drop((view.records_of(path), view.result(path), view.result_bytes(path)));
        drop((view.variables(path), view.loop_start(path), view.branch(path)));
        drop(view.step(path).map(|step| view.artifacts(step)));
    }
}

fn catalog(project: &Path, key: &OriginKey) -> Catalog {
    let catalog = Dirs::new(project, None, None).unwrap().catalog();
    catalog.with_origin_key(key.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reader_is_misled_by_damaged_journals_with_right_sums() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    let made = env.last_run();
    let id = made.file_name().unwrap().to_str().unwrap().to_owned();
    let kept = env.path("kept");
    env.copy_dir(&made, &kept);
    env.is_checked();
    let records = journal(&made);
    let whole = std::fs::read(made.join(".run/journal.jsonl")).unwrap();
    let key = dad_tests::origin_key();
    let definition: Definition = RunView::open(&made).unwrap().definition().unwrap().definition;
    let question = RunView::open(&made)
        .unwrap()
        .open_questions()
        .next()
        .unwrap()
        .id
        .clone();

    let mut draw = Draw::new(2);
    let (mut told, mut read) = (0, 0);
    for round in 0..600 {
        let bound = match round % 6 {
            0 => Bound::Summed,
            _ => Bound::Signed,
        };
        std::fs::remove_dir_all(env.path("project/runs")).unwrap();
        env.copy_dir(&kept, &made);
        let mut damaged = records.clone();
        for _ in 0..=draw.below(3) {
            let number = draw.below(damaged.len());
            draw.damage(&mut damaged[number]);
        }
        write_journal(&made, &damaged, bound, &mut draw);

        match RunView::open_with(&made, Some(&key)) {
            Ok(view) => {
                read += 1;
                read_all(&view);
                let answer = Answer::Given {
                    source: "test".to_owned(),
                    value: json!({ "approve": false }),
                };
                drop(view.answer(Some(&question), answer, &builtin_nodes()));
                let is_mine = view.origin() == Origin::Mine;
                assert!(
                    !is_mine
                        || matches!(bound, Bound::Signed)
                        || std::fs::read(made.join(".run/journal.jsonl")).unwrap() == whole,
                    "{round}"
                );
            }
            Err(_) => told += 1,
        }
        drop(Repair::find(&made));
        let catalog = catalog(&env.project(), &key);
        drop((
            catalog.listing(),
            catalog.find("last", None),
            catalog.find(&id, None),
        ));
        let context = |previous: Option<&str>| {
            let builder = RunContext::builder("f", env.project())
                .unmasked()
                .origin_key(key.clone())
                .nodes(builtin_nodes());
            match previous {
                Some(previous) => builder.previous_run_id(previous).build(),
                None => builder.build(),
            }
        };
        if let Ok(context) = context(Some(&id)) {
            drop(context.prepare_run(&definition));
        }
        if round % 10 == 0 {
            commands(&env, &id);
        }
        drop(
            Runner::resume(definition.clone(), context(None).unwrap(), &made)
                .run()
                .await,
        );
    }
    assert!(told > 200 && read > 50, "{told} told, {read} read");
}

/// Every command that reads a run ends in one of the ways that are documented.
fn commands(env: &TestEnvironment, id: &str) {
    for words in [
        &["runs", "list"][..],
        &["runs", "show", id, "--json"],
        &["runs", "show", id, "first"],
        &["runs", "why", id, "first"],
        &["runs", "verify", id, "--json"],
        &["runs", "repair", id, "--dry-run"],
        &["runs", "rm", id, "--dry-run"],
        &["runs", "prune", "--keep-last", "0", "--dry-run"],
        &["run", "flow", "flow.yaml", "--previous-run-id", id, "--dry-run"],
        &["answer", id],
        &["cancel", id],
    ] {
        let ended = env.run(words);
        assert!(matches!(ended.code, Some(0..=5)), "{words:?}: {ended}");
        assert!(!ended.stderr.contains("panicked"), "{words:?}: {ended}");
    }
}
