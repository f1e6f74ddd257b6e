//! Attempts of file operations to reach what they must not: each is refused, or harmless, with a clear error and without
//! a hang.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dad_fs::{Fault, FaultInjector, Gate, Operation};
use dhenara::{FlowBuilder, FlowRunner, NodeBuilder, NodeType, RunContext, builtin_nodes};
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, tell};

/// Nothing takes nearly as long; what hangs takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// A place with a tree to work in, and something outside that must stay as it is.
struct Place {
    env: TestEnvironment,
}

impl Place {
    fn new() -> Self {
        let env = TestEnvironment::new();
        for (file, text) in [
            ("tree/a.txt", "inside\n"),
            ("tree/dir/b.txt", "inside\n"),
            ("tree/.git/config", "[core]\n"),
            ("tree/.git/hooks/sample", "hook\n"),
            ("tree/sub/.git", "gitdir: elsewhere\n"),
            ("outside/secret.txt", "outside\n"),
            ("outside/dir/c.txt", "outside\n"),
            ("allowed/d.txt", "allowed\n"),
        ] {
            env.write(file, text);
        }
        let place = Self { env };
        let tree = place.tree();
        symlink(place.outside(), tree.join("link_dir")).unwrap();
        symlink(place.outside().join("secret.txt"), tree.join("link_file")).unwrap();
        symlink("../outside/new.txt", tree.join("dangling")).unwrap();
        symlink(".git", tree.join("link_git")).unwrap();
        symlink("link_dir", tree.join("link_link")).unwrap();
        symlink("loop_b", tree.join("loop_a")).unwrap();
        symlink("loop_a", tree.join("loop_b")).unwrap();
        symlink("/dev/zero", tree.join("link_zero")).unwrap();
        std::fs::create_dir(tree.join("with_link")).unwrap();
        symlink("../../outside", tree.join("with_link/out")).unwrap();
        std::fs::hard_link(place.outside().join("secret.txt"), tree.join("hard")).unwrap();
        place.make("mkfifo", &["fifo"]);
        // Only the administrator can; elsewhere the attempt meets nothing there.
        let _ = Command::new("mknod")
            .args(["device", "c", "1", "5"])
            .current_dir(&tree)
            .output();
        std::fs::create_dir(tree.join("bad")).unwrap();
        use std::os::unix::ffi::OsStrExt;
        let bad = std::ffi::OsStr::from_bytes(b"\xff\xfe.txt");
        // Some file systems have no such names.
        let _ = std::fs::write(tree.join("bad").join(bad), "x");
        place
    }

    fn make(&self, program: &str, arguments: &[&str]) {
        let made = Command::new(program)
            .args(arguments)
            .current_dir(self.tree())
            .status();
        assert!(made.unwrap().success());
    }

    fn tree(&self) -> PathBuf {
        self.env.project().join("tree")
    }

    fn outside(&self) -> PathBuf {
        self.env.project().join("outside")
    }

    /// Everything that no operation may change.
    fn forbidden(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.outside(), self.tree().join(".git"), self.tree().join("sub")];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.insert(path.clone(), std::fs::read_to_string(path).unwrap());
                }
            }
        }
        found
    }

    /// Runs operations; what they failed with, or their results.
    async fn run(&self, settings: Value, gate: Gate) -> Result<Value, String> {
        let mut all = json!({ "base_directory": self.tree(), "return_diff_format": false });
        for (name, value) in settings.as_object().unwrap() {
            all[name] = value.clone();
        }
        let node = NodeBuilder::new(NodeType::FILE_OPERATION, all);
        let flow = FlowBuilder::new().node("step", node).build();
        let flow = flow.map_err(|problems| format!("definition: {problems}"))?;
        let context = RunContext::builder("escape", self.env.project())
            .unmasked()
            .origin_key(dad_tests::origin_key())
            .nodes(builtin_nodes())
            .gate(gate);
        let runner = FlowRunner::new(flow, context.build().unwrap());
        let ended = tokio::time::timeout(LIMIT, runner.run()).await;
        match ended.expect("an attempt hangs") {
            Ok(report) => {
                let text = std::fs::read_to_string(report.run_dir.join("escape/step/outcome.json"));
                let outcome: Value = serde_json::from_str(&text.unwrap()).unwrap();
                Ok(outcome["results"].clone())
            }
            Err(error) => Err(error.report().unwrap().error.clone().unwrap().message),
        }
    }
}

fn create(path: &str) -> Value {
    json!({ "type": "create_file", "path": path, "content": "escaped\n" })
}

fn edit(path: &str) -> Value {
    json!({ "type": "edit_file", "path": path, "edits": [{ "old_text": "outside", "new_text": "escaped" }] })
}

fn of(kind: &str, path: &str) -> Value {
    json!({ "type": kind, "path": path })
}

fn moving(source: &str, destination: &str) -> Value {
    json!({ "type": "move_file", "source": source, "destination": destination })
}

/// Names of attempts and what is tried; `OUT` stands for the directory outside.
fn attempts() -> Vec<(&'static str, Value)> {
    let long = format!("{}/x", "n".repeat(300));
    let deep = "d/".repeat(3000) + "x";
    let search = json!({ "type": "search_files", "search_config": { "pattern": "secret" } });
    let search_at = |path: &str| {
        let mut search = search.clone();
        search["path"] = path.into();
        search
    };
    vec![
        ("dot dot", create("../outside/new.txt")),
        ("dot dot in the middle", create("dir/../../outside/new.txt")),
        ("dot dot that stays inside", create("dir/../a.txt")),
        ("absolute", create("OUT/new.txt")),
        (
            "absolute into the tree by dot dot",
            create("TREE/../outside/new.txt"),
        ),
        ("root", create("/")),
        ("the base itself", of("delete_directory", ".")),
        ("the base itself by a detour", of("delete_directory", "./dir/..")),
        ("link to a directory", create("link_dir/new.txt")),
        ("link to a link", create("link_link/new.txt")),
        ("link to a file, replaced", create("link_file")),
        ("link to a file, edited", edit("link_file")),
        ("link to a file, deleted", of("delete_file", "link_file")),
        ("link to a file, moved", moving("link_file", "moved")),
        ("link that leads nowhere yet", create("dangling")),
        ("links in a circle", create("loop_a/x")),
        ("link to a directory, deleted", of("delete_directory", "link_dir")),
        ("link to a directory, listed", of("list_directory", "link_dir")),
        ("link to a directory, searched", search_at("link_dir")),
        ("search does not follow links", search.clone()),
        ("moved out through a link", moving("a.txt", "link_dir/a.txt")),
        ("moved out", moving("a.txt", "../outside/a.txt")),
        ("moved in", moving("../outside/secret.txt", "stolen.txt")),
        ("directory made outside", of("create_directory", "link_dir/new")),
        (
            "directory with a link in it, deleted",
            of("delete_directory", "with_link"),
        ),
        (
            "directory with a link in it, moved",
            moving("with_link", "elsewhere"),
        ),
        ("hook", create(".git/hooks/pre-commit")),
        ("hook, in another case", create(".GIT/hooks/pre-commit")),
        (
            "hook, with a character that is not seen",
            create(".g\u{200d}it/hooks/pre-commit"),
        ),
        ("hook, by a short name", create("git~1/hooks/pre-commit")),
        ("hook, with a dot behind", create(".git./hooks/pre-commit")),
        ("hook, through a link", create("link_git/hooks/pre-commit")),
        ("configuration of the repository, edited", edit(".git/config")),
        ("pointer of a submodule", create("sub/.git")),
        (
            "directory with a repository, deleted",
            of("delete_directory", "sub"),
        ),
        ("repository, moved", moving(".git", "git")),
        ("repository, listed", of("list_directory", ".git")),
        ("hard link, replaced", create("hard")),
        ("hard link, edited", edit("hard")),
        ("device, read", edit("link_zero")),
        ("device, replaced", create("device")),
        ("pipe, read", edit("fifo")),
        ("pipe, replaced", create("fifo")),
        ("pipe as a directory", create("fifo/x")),
        ("file as a directory", create("a.txt/x")),
        ("long name", create(&long)),
        ("long path", create(&deep)),
        ("zero byte", create("a\0b")),
        ("backslashes", create("..\\outside\\new.txt")),
        (
            "name that is not UTF-8, deleted with its directory",
            of("delete_directory", "bad"),
        ),
        ("name that is not UTF-8, listed", of("list_directory", "bad")),
        (
            "several, one of them outside",
            json!({ "type": "delete_file", "paths": ["a.txt", "../outside/secret.txt"] }),
        ),
        ("empty path", create("")),
    ]
}

#[tokio::test]
async fn no_file_operation_leaves_its_directory() {
    let mut shown = String::new();
    let mut count = 0;
    for (name, mut operation) in attempts() {
        let place = Place::new();
        let (out, tree) = (place.outside(), place.tree());
        let named = operation.to_string();
        let named = named
            .replace("OUT", out.to_str().unwrap())
            .replace("TREE", tree.to_str().unwrap());
        operation = serde_json::from_str(&named).unwrap();
        let before = place.forbidden();
        let ended = place
            .run(json!({ "operations": [operation] }), Gate::default())
            .await;
        assert_eq!(place.forbidden(), before, "{name}: {ended:?}");
        let ended = match ended {
            Err(message) => message,
            // Where the user may make no devices.
            Ok(_) if name == "device, replaced" && !is_device(&tree.join("device")) => {
                "operation 1 (create_file): `device` is a device, socket or pipe, not a regular file"
                    .to_owned()
            }
            Ok(results) => format!("harmless: {}", results[0]),
        };
        count += 1;
        writeln!(shown, "{name}: {}", place.env.shown(&ended)).unwrap();
    }
    for (name, allowed, path, relative) in [
        (
            "absolute beside an allowed directory",
            "allowed",
            "OUT/new.txt",
            false,
        ),
        (
            "absolute in an allowed directory, where paths are relative",
            "allowed",
            "ALLOWED/x",
            true,
        ),
        (
            "repository as an allowed directory",
            "tree/.git",
            "ALLOWED/hooks/pre-commit",
            false,
        ),
        (
            "allowed directory that is left by a link",
            "allowed",
            "ALLOWED/out/new.txt",
            false,
        ),
    ] {
        let place = Place::new();
        let allowed = place.env.project().join(allowed);
        symlink(place.outside(), place.env.project().join("allowed/out")).unwrap();
        let path = path.replace("OUT", place.outside().to_str().unwrap());
        let path = path.replace("ALLOWED", allowed.to_str().unwrap());
        let before = place.forbidden();
        let settings = json!({
            "operations": [create(&path)],
            "allowed_directories": [allowed],
            "use_relative_paths": relative,
        });
        let ended = place.run(settings, Gate::default()).await.unwrap_err();
        assert_eq!(place.forbidden(), before, "{name}");
        count += 1;
        writeln!(shown, "{name}: {}", place.env.shown(&ended)).unwrap();
    }
    for (name, swap) in swaps() {
        let place = Place::new();
        let before = place.forbidden();
        let gate = Gate::with_faults(SwapAt::new(&place, swap));
        let settings = json!({ "operations": [create("dir/new.txt"), create("dir/b.txt")] });
        let ended = place.run(settings, gate).await;
        assert_eq!(place.forbidden(), before, "{name}: {ended:?}");
        let ended = ended.map_or_else(|message| message, |results| format!("harmless: {}", results[0]));
        count += 1;
        writeln!(shown, "{name}: {}", place.env.shown(&ended)).unwrap();
    }
    tell(&format!("escapes: {count} attempts of file operations"));
    assert!(count >= 60, "only {count} attempts");
    insta::assert_snapshot!(shown);
}

fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.file_type().is_char_device())
}

/// The replacement of a directory or file, with the operation that it precedes.
#[derive(Clone, Copy)]
struct Swap {
    /// The operation, and the end of its path.
    before: (&'static str, &'static str),
    /// The entry that is moved away, and the target of the link in its place.
    path: &'static str,
    link: &'static str,
}

fn swaps() -> [(&'static str, Swap); 5] {
    let swap = |before, path, link| Swap { before, path, link };
    [
        (
            "directory swapped for a link before the first change",
            swap(("replace", "plan.json"), "dir", "outside/dir"),
        ),
        (
            "directory swapped for a link to the repository",
            swap(("replace", "plan.json"), "dir", "tree/.git"),
        ),
        (
            "directory swapped for a link while a file is written",
            swap(("write", ".tmp-"), "dir", "outside/dir"),
        ),
        (
            "directory swapped for a link while a file is renamed",
            swap(("replace", "new.txt"), "dir", "outside/dir"),
        ),
        (
            "file swapped for a link before it is replaced",
            swap(("replace", "plan.json"), "dir/b.txt", "outside/secret.txt"),
        ),
    ]
}

/// Puts a link in the place of something, once, right before an operation.
struct SwapAt {
    swap: Swap,
    project: PathBuf,
    is_done: AtomicBool,
}

impl SwapAt {
    fn new(place: &Place, swap: Swap) -> Self {
        Self {
            swap,
            project: place.env.project(),
            is_done: AtomicBool::new(false),
        }
    }
}

impl FaultInjector for SwapAt {
    fn before(&self, operation: &Operation<'_>) -> Result<(), Fault> {
        let (name, end) = self.swap.before;
        let file = operation.path.file_name().unwrap_or_default().to_string_lossy();
        let is_meant = operation.name == name && (file == end || (end == ".tmp-" && file.starts_with(end)));
        let in_tree = operation.path.starts_with(self.project.join("tree"));
        if is_meant && (in_tree || end == "plan.json") && !self.is_done.swap(true, Ordering::Relaxed) {
            let path = self.project.join("tree").join(self.swap.path);
            std::fs::rename(&path, self.project.join("swapped")).unwrap();
            symlink(self.project.join(self.swap.link), &path).unwrap();
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_race_leads_out() {
    let place = Place::new();
    let before = place.forbidden();
    let stop = Arc::new(AtomicBool::new(false));
    let (tree, outside, stopping) = (place.tree(), place.outside(), stop.clone());
    let swapping = std::thread::spawn(move || {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let (dir, link) = (tree.join("dir"), tree.join("link_to_be"));
        symlink(outside.join("dir"), &link).unwrap();
        // In one operation, so that the directory is never missing and made anew.
        while !stopping.load(Ordering::Relaxed) {
            renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            std::thread::yield_now();
        }
    });
    let mut refused = 0;
    for number in 0..100 {
        let operations = [create(&format!("dir/{number}.txt")), create("dir/c.txt")];
        let ended = place
            .run(json!({ "operations": operations }), Gate::default())
            .await;
        refused += usize::from(ended.is_err());
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert_eq!(place.forbidden(), before);
    tell(&format!(
        "escapes: of 100 changes raced by a swap {refused} were refused"
    ));
}

#[test]
fn records_of_runs_and_settings_of_projects_are_not_changed() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", "schema_version: 1\nkind: flow\nelements:\n  - { node: first, type: command, settings: { commands: [[echo, one]] } }\n");
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let other = env.last_run();
    let other = other.file_name().unwrap().to_str().unwrap();
    env.write(".dhenara/config.yaml", "{}\n");
    let of_run = [
        ".run/journal.jsonl",
        ".RUN/definition.json",
        ".run./lease",
        ".trace/trace.jsonl",
        "static_inputs/new.txt",
        "run_summary.json",
        "flow_root/first/outcome.json",
        "flow_root",
    ];
    let mut in_project = vec![
        ".dhenara/config.yaml".to_owned(),
        ".Dhenara/new.yaml".to_owned(),
        "sub/.dhenara/.secrets/.credentials.yaml".to_owned(),
        "DHENAR~1/config.yaml".to_owned(),
        "runs".to_owned(),
        format!("runs/{other}"),
        format!("runs/{other}/new.txt"),
        format!("runs/{other}/flow_root/first/outcome.json"),
    ];
    in_project.push("$var{run_dir}/.run/journal.jsonl".to_owned());
    let mut elements = String::new();
    let mut add = |base: &str, path: &str| {
        let number = elements.lines().count();
        let create = json!({ "type": "create_file", "path": path, "content": "mine" });
        let delete = json!({ "type": if path.contains('.') { "delete_file" } else { "delete_directory" }, "path": path });
        let moved = json!({ "type": "move_file", "source": path, "destination": "elsewhere" });
        for operation in [create, delete, moved] {
            let settings = json!({ "base_directory": base, "operations": [operation] });
            writeln!(
                elements,
                "  - {{ node: n{number}_{}, type: file_operation, on_error: continue, settings: {settings} }}",
                operation["type"].as_str().unwrap()
            )
            .unwrap();
        }
    };
    of_run.iter().for_each(|path| add(".", path));
    in_project.iter().for_each(|path| add("$var{project_root}", path));
    let flow = format!(
        "schema_version: 1\nkind: flow\nelements:\n  - {{ node: first, type: command, settings: {{ commands: [[echo, one]] }} }}\n{elements}  - {{ node: harmless, type: file_operation, settings: {{ operations: [{{ type: create_file, path: notes/mine.txt, content: mine }}] }} }}\n"
    );
    env.write("flow.yaml", &flow);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let run = env.last_run();
    let mut told = String::new();
    let all = of_run.iter().map(ToString::to_string).chain(in_project);
    for (place, path) in all.enumerate() {
        for kind in ["create_file", "delete_file", "delete_directory", "move_file"] {
            let step = run.join(format!("flow_root/n{}_{kind}", place * 3));
            let Ok(result) = std::fs::read(step.join("result.json")) else {
                continue;
            };
            let result: Value = serde_json::from_slice(&result).unwrap();
            assert_eq!(result["execution_status"], "failed", "{path}: {result}");
            let message = result["error"]["message"].as_str().unwrap();
            if kind == "create_file" {
                writeln!(told, "{message}").unwrap();
            }
        }
    }
    let told = told
        .replace(other, "[other]")
        .replace(env.project().to_str().unwrap(), "[project]");
    let told = told.replace(run.file_name().unwrap().to_str().unwrap(), "[run]");
    insta::assert_snapshot!(told, @"
    operation 1 (create_file): `.run/journal.jsonl` belongs to the records of this run
    operation 1 (create_file): `.RUN/definition.json` belongs to the records of this run
    operation 1 (create_file): `.run./lease` belongs to the records of this run
    operation 1 (create_file): `.trace/trace.jsonl` belongs to the records of this run
    operation 1 (create_file): `static_inputs/new.txt` belongs to the records of this run
    operation 1 (create_file): `run_summary.json` belongs to the records of this run
    operation 1 (create_file): `flow_root/first/outcome.json` belongs to the records of this run
    operation 1 (create_file): `flow_root` belongs to the records of this run
    operation 1 (create_file): `.dhenara/config.yaml` belongs to the settings of a project
    operation 1 (create_file): `.Dhenara/new.yaml` belongs to the settings of a project
    operation 1 (create_file): `sub/.dhenara/.secrets/.credentials.yaml` belongs to the settings of a project
    operation 1 (create_file): `DHENAR~1/config.yaml` belongs to the settings of a project
    operation 1 (create_file): `runs` holds the directory of this run
    operation 1 (create_file): `runs/[other]` belongs to another run
    operation 1 (create_file): `runs/[other]/new.txt` belongs to another run
    operation 1 (create_file): `runs/[other]/flow_root/first/outcome.json` belongs to another run
    operation 1 (create_file): `[project]/runs/[run]/.run/journal.jsonl` belongs to the records of this run
    ");
    assert_eq!(
        std::fs::read_to_string(run.join("notes/mine.txt")).unwrap(),
        "mine"
    );
    drop(env.run(&["runs", "verify", "last"]).expect(0));
    drop(env.run(&["runs", "verify", "last~1"]).expect(0));
    assert_eq!(
        std::fs::read_to_string(env.project().join(".dhenara/config.yaml")).unwrap(),
        "{}\n"
    );
    std::fs::remove_dir_all(run.join("notes")).unwrap();
}
