//! Attempts to read what is not to be read: by folder analysis, `use:`, `$file` and `$json`. Each is refused with an error
//! that says why, or reads nothing but what is the project's own; none hangs.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use dhenara::definition::load_file;
use dhenara::nodes::{FolderAnalyzerSettings, analyze_folders};
use dhenara::runner::Stop;
use serde_json::{Value, json};

/// The content outside of the project that must not appear.
const OUTSIDE: &str = "what-stands-outside";

/// The time limit of an attempt, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way in which an attempt reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `analyze_file`.
    File,
    /// `analyze_folder`, with contents.
    Folder,
    /// `use:`.
    Use,
    /// `$file`.
    Include,
    /// `$json`.
    Data,
}

const WAYS: [Way; 5] = [Way::File, Way::Folder, Way::Use, Way::Include, Way::Data];

/// The result of an attempt.
enum Came {
    Refused { code: String, message: String },
    Read(String),
}

/// A project with traps in it, beside what must not be read.
fn place() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for name in ["secret.md", "secret.json", "secret.yaml"] {
        write(&format!("outside/{name}"), &format!("\"{OUTSIDE}\"\n"));
    }
    write("project-beside/secret.md", OUTSIDE);
    write("project/inside.md", "\"mine\"");
    write("project/sub/inside.md", "\"mine\"");
    write("project/.git/hooks/pre-commit", "\"a hook\"");
    let project = root.path().join("project");
    let link = |to: &str, name: &str| symlink(to, project.join(name)).unwrap();
    let outside = root.path().join("outside");
    link("../outside", "link");
    link("../outside/secret.md", "link.md");
    link("../outside/secret.json", "link.json");
    link("../outside/secret.yaml", "link.yaml");
    link(outside.to_str().unwrap(), "absolute");
    link("..", "up");
    link("link", "twice");
    link("cycle", "cycle");
    link("there", "back");
    link("back", "there");
    link("/dev/zero", "zero");
    link("/proc/self/environ", "environment");
    link("nowhere", "dangling");
    link(".", "self");
    for pipe in ["pipe", "pipe.yaml"] {
        assert!(
            Command::new("mkfifo")
                .arg(project.join(pipe))
                .status()
                .unwrap()
                .success()
        );
    }
    // The socket stays when its listener goes.
    drop(std::os::unix::net::UnixListener::bind(project.join("socket")).unwrap());
    for huge in ["huge.md", "huge.yaml"] {
        let file = std::fs::File::create(project.join(huge)).unwrap();
        file.set_len(1 << 40).unwrap();
    }
    root
}

/// Tries it, in a thread of its own, so that what never ends is seen.
fn attempt(project: &Path, way: Way, path: &str) -> Came {
    let (tell, told) = channel();
    let (project, tried) = (project.to_path_buf(), path.to_owned());
    thread::spawn(move || tell.send(read(&project, way, &tried)));
    told.recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("{way:?} of {path:?} hangs"))
}

fn read(project: &Path, way: Way, path: &str) -> Came {
    let name = json!(path);
    let elements = match way {
        Way::File => return look(project, json!({ "operation_type": "analyze_file", "path": path })),
        Way::Folder => {
            let operation = json!({ "operation_type": "analyze_folder", "path": path, "content_read_mode": "full",
                "include_hidden": true, "respect_gitignore": false });
            return look(project, operation);
        }
        Way::Use => json!([{ "subflow": "one", "use": name }]),
        Way::Include => {
            json!([{ "node": "one", "type": "command", "settings": { "commands": [{ "$file": name }] } }])
        }
        Way::Data => {
            json!([{ "node": "one", "type": "command", "settings": { "commands": [{ "$json": name }] } }])
        }
    };
    let definition = json!({ "schema_version": 1, "kind": "flow", "elements": elements });
    // A file of each attempt's own: attempts may go on beside each other.
    let file = tempfile::Builder::new()
        .suffix(".json")
        .tempfile_in(project)
        .unwrap();
    std::fs::write(file.path(), definition.to_string()).unwrap();
    match load_file(file.path(), Some(project)) {
        Ok(loaded) => Came::Read(format!("{:?}", loaded.definition)),
        Err(problems) => Came::Refused {
            code: problems.as_slice()[0].code.to_owned(),
            message: problems.to_string(),
        },
    }
}

fn look(project: &Path, operation: impl Into<Value>) -> Came {
    let settings = json!({ "operations": [operation.into()] });
    let settings: FolderAnalyzerSettings = serde_json::from_value(settings).unwrap();
    match analyze_folders(project, &settings, &Stop::default()) {
        Ok(output) => Came::Read(output.outcome.to_string()),
        Err(error) => Came::Refused {
            code: error.info.code.clone(),
            message: error.info.message.clone(),
        },
    }
}

/// The targets of the attempts: the path, and the allowed result where they are not refused.
fn attempts(root: &Path) -> Vec<(String, &'static str)> {
    let outside = root.join("outside/secret.md").to_string_lossy().into_owned();
    let beside = root
        .join("project-beside/secret.md")
        .to_string_lossy()
        .into_owned();
    let refused = |path: &str| (path.to_owned(), "refused");
    vec![
        refused("../outside/secret.md"),
        refused("../outside/secret.json"),
        refused("../outside/secret.yaml"),
        refused("sub/../../outside/secret.yaml"),
        refused("./././../outside"),
        refused(".."),
        refused("../project-beside/secret.md"),
        refused("../../../../../../../../../../etc/passwd"),
        refused("missing/../../outside/secret.md"),
        refused(&outside),
        refused(&beside),
        refused("/etc/passwd"),
        refused("//etc/passwd"),
        refused("/dev/zero"),
        refused("/dev/stdin"),
        refused("/proc/self/environ"),
        refused("link/secret.md"),
        refused("link/secret.yaml"),
        refused("link.md"),
        refused("link.json"),
        refused("link.yaml"),
        refused("absolute/secret.yaml"),
        refused("up/outside/secret.yaml"),
        refused("twice/secret.yaml"),
        refused("self/self/link/secret.yaml"),
        refused("sub/../link/secret.yaml"),
        refused("cycle"),
        refused("back/x.yaml"),
        refused("zero"),
        refused("environment"),
        refused("dangling"),
        refused("pipe"),
        refused("pipe.yaml"),
        refused("socket"),
        refused("LINK/secret.yaml"),
        refused("Link.md"),
        refused("~/secret.md"),
        refused("file:///etc/passwd"),
        refused("..\\outside\\secret.md"),
        refused("%2e%2e/outside/secret.md"),
        refused("inside.md\0.yaml"),
        refused("inside.md/../../outside/secret.md"),
        refused("caf\u{fffd}.yaml"),
        refused(&"n".repeat(300)),
        refused(&format!("{}x.yaml", "sub/../".repeat(2000))),
        (".git/hooks/pre-commit".to_owned(), "a hook"),
        (".GIT/hooks/pre-commit".to_owned(), "a hook"),
        ("huge.md".to_owned(), "content_left_out"),
        ("huge.yaml".to_owned(), "content_left_out"),
        ("self/inside.md".to_owned(), "mine"),
    ]
}

#[test]
fn nothing_is_read_that_is_not_the_projects_own() {
    let root = place();
    let project = root.path().join("project");
    let attempts = attempts(root.path());
    assert!(attempts.len() >= 30);
    let mut told = String::new();
    for (path, otherwise) in &attempts {
        for way in WAYS {
            let shown: String = path
                .replace(root.path().to_str().unwrap(), "[root]")
                .chars()
                .take(40)
                .collect();
            match attempt(&project, way, path) {
                Came::Refused { code, message } => {
                    assert!(!message.contains(OUTSIDE), "{way:?} {path:?}: {message}");
                    assert!(
                        message.len() > 20,
                        "{way:?} {path:?} says no more than: {message}"
                    );
                    told.push_str(&format!(
                        "{way:<8} {shown:<42?} {code}\n",
                        way = format!("{way:?}")
                    ));
                }
                Came::Read(text) => {
                    assert!(!text.contains(OUTSIDE), "{way:?} {path:?}: {text}");
                    assert!(
                        text.contains(otherwise),
                        "{way:?} {path:?} was not refused: {text}"
                    );
                    told.push_str(&format!(
                        "{way:<8} {shown:<42?} harmless: {otherwise}\n",
                        way = format!("{way:?}")
                    ));
                }
            }
        }
    }
    insta::assert_snapshot!("escapes_reading", told);
}

#[test]
fn a_whole_folder_is_looked_at_without_being_led_astray() {
    let root = place();
    let project = root.path().join("project");
    for path in [".", "self", "sub/.."] {
        let Came::Read(text) = attempt(&project, Way::Folder, path) else {
            panic!("{path} is the project itself");
        };
        assert!(!text.contains(OUTSIDE) && !text.contains("a hook"), "{text}");
        assert!(
            text.contains("\"symlink\":true") && text.contains("never opened"),
            "{text}"
        );
    }
}

/// A hard link is the file itself, by whatever name: nothing tells it from a file that was made here.
#[test]
fn a_hard_link_is_a_file_of_the_project() {
    let root = place();
    let project = root.path().join("project");
    std::fs::hard_link(root.path().join("outside/secret.md"), project.join("hard.md")).unwrap();
    for way in [Way::File, Way::Include] {
        assert!(
            matches!(attempt(&project, way, "hard.md"), Came::Read(_)),
            "{way:?}"
        );
    }
}

#[test]
fn names_that_are_no_text_are_reported_and_files_used_in_a_circle_refused() {
    use std::os::unix::ffi::OsStrExt;
    let root = place();
    let project = root.path().join("project");
    std::fs::write(
        project.join(std::ffi::OsStr::from_bytes(b"odd\xff.md")),
        "odd one",
    )
    .unwrap();
    let Came::Read(text) = attempt(&project, Way::Folder, ".") else {
        panic!("the project can be looked at");
    };
    assert!(
        text.contains("odd\\\\xFF.md") && text.contains("odd one"),
        "{text}"
    );
    let uses = |name: &str, other: &str| {
        let text =
            json!({ "schema_version": 1, "kind": "flow", "elements": [{ "subflow": "next", "use": other }] });
        std::fs::write(project.join(name), text.to_string()).unwrap();
    };
    uses("a.json", "b.json");
    uses("b.json", "./self/a.json");
    let Came::Refused { code, .. } = attempt(&project, Way::Use, "a.json") else {
        panic!("a circle has no end");
    };
    assert_eq!(code, "use_cycle");
}

/// Puts a link to the outside in the place of a directory and back, as fast as it can, while files are read.
#[test]
fn what_is_exchanged_between_check_and_use_leads_nowhere_else() {
    let root = place();
    let project = root.path().join("project");
    std::fs::create_dir(project.join("flip")).unwrap();
    std::fs::write(project.join("flip/secret.md"), "mine").unwrap();
    std::fs::write(
        project.join("flip/secret.yaml"),
        "schema_version: 1\nkind: flow\nelements: []\n",
    )
    .unwrap();
    symlink("../outside", project.join("aside")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let flips = flipping(project.clone(), Arc::clone(&stop));
    let mut read_mine = 0;
    for _ in 0..400 {
        for (way, path) in [
            (Way::Folder, "flip"),
            (Way::Folder, "."),
            (Way::File, "flip/secret.md"),
            (Way::Include, "flip/secret.md"),
            (Way::Use, "flip/secret.yaml"),
        ] {
            match read(&project, way, path) {
                Came::Read(text) | Came::Refused { message: text, .. } => {
                    assert!(!text.contains(OUTSIDE), "{way:?} {path}: {text}");
                    read_mine += usize::from(text.contains("mine"));
                }
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let flips = flips.join().unwrap();
    assert!(
        flips > 100 && read_mine > 0,
        "{flips} exchanges, {read_mine} times read"
    );
}

/// Exchanges `flip` and `aside` until it is to stop; how often.
fn flipping(project: PathBuf, stop: Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        let mut count = 0;
        let (flip, aside, spare) = (project.join("flip"), project.join("aside"), project.join("spare"));
        while !stop.load(Ordering::Relaxed) {
            for (from, to) in [(&flip, &spare), (&aside, &flip), (&spare, &aside)] {
                std::fs::rename(from, to).unwrap();
            }
            count += 1;
        }
        count
    })
}
