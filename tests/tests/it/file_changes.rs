//! A process that dies at every change of the file system in a step that changes twenty things: the process that resumes the run
//! completes it, and overwrites nothing that another program changed meanwhile.

use std::collections::BTreeMap;
use std::path::Path;

use dad_tests::check_run_dir;

use crate::crashes::{call, copy_all};
use crate::harness::{TestEnvironment, git, has_git, tell};

/// The operations of the whole run that there are at least.
const AT_LEAST: u64 = 107;

/// The file that a person edits.
const EDITED: &str = "zuletzt.txt";

/// A project with a tree that is committed, but for a file that is none of the run's business.
fn prepare(env: &TestEnvironment) {
    for name in [
        "edit1",
        "edit2",
        "edit3",
        "sub/edit4",
        "move1",
        "move2",
        "zuletzt",
    ] {
        env.write(&format!("tree/{name}.txt"), &format!("{name}\nline 2\nold\n"));
    }
    for name in [
        "delete1.txt",
        "delete2.txt",
        "sub/delete3.txt",
        "replaced.txt",
        "directory/a",
        "directory/b/c",
        "gone/a",
        "gone/b/c",
        "untouched",
    ] {
        env.write(&format!("tree/{name}"), name);
    }
    let tree = env.project().join("tree");
    git(&tree, &["init", "--quiet"]);
    git(&tree, &["add", "--all"]);
    git(&tree, &["commit", "--quiet", "--message", "before"]);
    env.write("tree/untouched", "changed by another program");
    env.write("tree/untracked", "by another program");
}

/// Every file and directory with its content, the repository's data left out.
fn tree(project: &Path) -> BTreeMap<String, String> {
    let root = project.join("tree");
    let mut found = BTreeMap::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            if name == ".git" {
                continue;
            }
            if path.is_dir() {
                found.insert(name, "directory".to_owned());
                open.push(path);
            } else {
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

fn without_temporaries(mut tree: BTreeMap<String, String>) -> BTreeMap<String, String> {
    tree.retain(|name, _| !name.contains(".tmp-"));
    tree
}

fn index(project: &Path) -> String {
    git(
        &project.join("tree"),
        &["diff", "--cached", "--name-status", "--no-renames"],
    )
}

/// The result of an undisturbed run.
struct Undisturbed {
    before: std::path::PathBuf,
    tree: BTreeMap<String, String>,
    index: String,
}

#[test]
fn a_change_of_twenty_things_survives_every_operation() {
    if !has_git() {
        return;
    }
    let (prepared, whole) = (TestEnvironment::new(), TestEnvironment::new());
    prepare(&prepared);
    copy_all(&prepared.project(), &whole.project());
    let called = call(&whole, "change", u64::MAX, "none");
    assert_eq!(called.code, Some(0), "{}", called.stderr);
    let wanted = Undisturbed {
        before: prepared.project(),
        tree: tree(&whole.project()),
        index: index(&whole.project()),
    };
    assert_eq!(wanted.tree["new/moved1.txt"], "move1\nline 2\nnew\n");
    assert!(!wanted.index.contains("untouched") && !wanted.index.contains("untracked"));
    assert_eq!(wanted.index.lines().count(), 23, "{}", wanted.index);
    let mut faults: Vec<(&str, u64)> = (0..called.operations).map(|number| ("die", number)).collect();
    faults.extend(called.writes().iter().map(|number| ("torn", *number)));
    let conflicts: usize = std::thread::scope(|scope| {
        let (left, right) = faults.split_at(faults.len() / 2);
        let drive = |part: Vec<(&'static str, u64)>| {
            let wanted = &wanted;
            scope.spawn(move || {
                let met = part
                    .into_iter()
                    .filter(|(how, operation)| wanted.disturb(how, *operation));
                met.count()
            })
        };
        let both = [drive(left.to_vec()), drive(right.to_vec())];
        both.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    tell(&format!(
        "file changes: {} operations, {} deaths, {conflicts} of them met an edit",
        called.operations,
        faults.len()
    ));
    assert!(
        called.operations >= AT_LEAST,
        "only {} operations",
        called.operations
    );
    assert!(
        conflicts >= 40,
        "only {conflicts} deaths in the middle of the change"
    );
}

impl Undisturbed {
    /// Dies at an operation and goes on; also with an edit between, if the change had begun. Whether it had.
    fn disturb(&self, how: &str, operation: u64) -> bool {
        let at = format!("{how} at {operation}");
        let env = self.die(how, operation, &at);
        let has_begun = has_plan(&env.project());
        let is_run = !dad_tests::find_run_dirs(&env.project()).is_empty();
        let next = if is_run { "change-resume" } else { "change" };
        let ended = call(&env, next, u64::MAX, "none");
        // A process that died behind the seal has nothing left to do.
        let is_over = ended.stderr.contains("there is no unfinished run");
        assert!(ended.code == Some(0) || is_over, "{at}: {}", ended.stderr);
        self.check(&env, &at);
        if has_begun {
            self.meet_an_edit(how, operation);
        }
        has_begun
    }

    fn die(&self, how: &str, operation: u64, at: &str) -> TestEnvironment {
        let env = TestEnvironment::new();
        copy_all(&self.before, &env.project());
        let died = call(&env, "change", operation, how);
        assert_eq!(died.code, Some(86), "{at}: {}", died.stderr);
        env
    }

    fn check(&self, env: &TestEnvironment, at: &str) {
        assert_eq!(tree(&env.project()), self.tree, "{at}");
        assert_eq!(index(&env.project()), self.index, "{at}");
        for run in dad_tests::find_run_dirs(&env.project()) {
            let (_, problems) = check_run_dir(&run);
            let left = ["/.tmp-", "`.tmp-"];
            let problems: Vec<_> = problems
                .iter()
                .filter(|problem| left.iter().all(|left| !problem.contains(left)))
                .collect();
            assert!(problems.is_empty(), "{at}: {problems:?}");
        }
        env.is_checked();
    }

    /// Edits a file that is to change, after the death.
    fn meet_an_edit(&self, how: &str, operation: u64) {
        let at = format!("{how} at {operation}, then an edit");
        let env = self.die(how, operation, &at);
        let file = env.project().join("tree").join(EDITED);
        let found = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, "mine\n").unwrap();
        let before = without_temporaries(tree(&env.project()));
        // As often as the user tries.
        for _ in 0..2 {
            let resumed = call(&env, "change-resume", u64::MAX, "none");
            assert_eq!(resumed.code, Some(1), "{at}: {}", resumed.stderr);
            let named = format!("`{EDITED}` changed meanwhile");
            assert!(resumed.stderr.contains(&named), "{at}: {}", resumed.stderr);
            assert_eq!(tree(&env.project()), before, "{at}");
        }
        std::fs::write(&file, found).unwrap();
        let resumed = call(&env, "change-resume", u64::MAX, "none");
        assert_eq!(resumed.code, Some(0), "{at}: {}", resumed.stderr);
        self.check(&env, &at);
    }
}

/// Whether a death left a plan in the stage.
fn has_plan(project: &Path) -> bool {
    dad_tests::find_run_dirs(project).iter().any(|run| {
        let stages = std::fs::read_dir(run.join(".run/stage")).into_iter().flatten();
        stages
            .flatten()
            .any(|stage| stage.path().join("file_changes/plan.json").is_file())
    })
}
