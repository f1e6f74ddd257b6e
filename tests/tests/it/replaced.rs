//! Run directories with one entry replaced by what it never is: a pipe, a link, a device, a directory, a huge file, a tree that is
//! deeper than a stack. Every command ends, says no other status than the journal, and writes nowhere else.
#![cfg(target_os = "linux")]

use std::fmt::Debug;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat};
use serde_json::Value;

use crate::harness::{TestEnvironment, tell};

/// No command takes so long unless it waits for something that never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of many flows: it has waited, failed steps, loops and answers behind it.
const FLOW: &str = r#"schema_version: 1
kind: flow
root_id: f
variables: { list: [a, b] }
elements:
  - for_each: all
    statement: "$var{list}"
    body:
      - { node: say, type: command, settings: { commands: [[echo, "$var{item}"]] } }
  - { node: fails, type: command, on_error: continue, retry: { max_attempts: 2, initial_delay: 1ms, repeat_effects: true }, settings: { commands: [["false"]] } }
  - { node: gate, type: command, requires_approval: true, settings: { commands: [[echo, gate]] } }
  - { node: asks, type: command, pre_events: [node_input_required], settings: { commands: [[echo, asks]] } }
"#;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Put {
    Pipe,
    LinkToFile,
    LinkToDir,
    Device,
    Directory,
    Huge,
    Deep,
}

const PUT: [Put; 6] = [
    Put::Pipe,
    Put::LinkToFile,
    Put::LinkToDir,
    Put::Device,
    Put::Directory,
    Put::Huge,
];

/// Levels of directories, more than a stack holds.
const LEVELS: usize = 20_000;

fn replace(path: &Path, put: Put, outside: &Path) {
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else {
        std::fs::remove_file(path).unwrap();
    }
    let node = |kind, device| mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, device).is_ok();
    match put {
        Put::Pipe => assert!(node(FileType::Fifo, 0)),
        Put::LinkToFile => symlink(outside.join("file"), path).unwrap(),
        Put::LinkToDir => symlink(outside.join("dir"), path).unwrap(),
        // Only root can make a device.
        Put::Device if node(FileType::CharacterDevice, makedev(1, 5)) => {}
        Put::Device => symlink("/dev/zero", path).unwrap(),
        Put::Directory => std::fs::create_dir_all(path.join("inside")).unwrap(),
        Put::Huge => std::fs::File::create(path).unwrap().set_len(8 << 30).unwrap(),
        Put::Deep => {
            std::fs::create_dir(path).unwrap();
            let open = OFlags::RDONLY | OFlags::DIRECTORY;
            let mut dir = openat(CWD, path, open, Mode::empty()).unwrap();
            for _ in 0..LEVELS {
                mkdirat(&dir, "d", Mode::RWXU).unwrap();
                dir = openat(&dir, "d", open, Mode::empty()).unwrap();
            }
        }
    }
}

fn everything(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.clone());
        if path.is_dir() {
            everything(&path, found);
        }
    }
    found.sort();
}

/// A run, whose directory is at rest.
struct Kept {
    dir: PathBuf,
    name: String,
    status: &'static str,
    entries: Vec<PathBuf>,
}

impl Kept {
    fn new(env: &TestEnvironment, status: &'static str) -> Self {
        let dir = env.last_run();
        let mut all = Vec::new();
        everything(&dir, &mut all);
        Self {
            name: dir.file_name().unwrap().to_str().unwrap().to_owned(),
            entries: all
                .iter()
                .map(|path| path.strip_prefix(&dir).unwrap().to_owned())
                .collect(),
            dir,
            status,
        }
    }
}

/// Calls `dhenara`, which must end by itself and not panic.
fn ends(env: &TestEnvironment, project: &Path, args: &[&str], what: &dyn Debug) -> (Option<i32>, String) {
    let mut command = env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), project);
    let piped = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |from: &mut dyn std::io::Read| {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    };
    let began = Instant::now();
    let (stdout, stderr) = std::thread::scope(|scope| {
        let reading = [scope.spawn(|| read(&mut out)), scope.spawn(|| read(&mut err))];
        while child.try_wait().unwrap().is_none() {
            if began.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{what:?}: {args:?} does not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let [stdout, stderr] = reading.map(|reading| reading.join().unwrap());
        (stdout, stderr)
    });
    let code = child.wait().unwrap().code();
    assert!(
        code.is_some_and(|code| code != 101) && !stderr.contains("panicked"),
        "{what:?}: {args:?}: {code:?}\n{stderr}"
    );
    (code, stdout)
}

/// The run as it is listed: its status, or `unreadable`; `None` if it is not listed.
fn listed(env: &TestEnvironment, project: &Path, name: &str, what: &dyn Debug) -> Option<String> {
    let (code, stdout) = ends(env, project, &["runs", "list", "--json"], what);
    assert_eq!(code, Some(0), "{what:?}");
    let list: Value = serde_json::from_str(&stdout).unwrap();
    let run = list["runs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|run| run["run_id"] == name);
    let unreadable = list["unreadable"].as_array().unwrap().iter();
    let is_this = |run: &&Value| run["run_dir"].as_str().unwrap().ends_with(name);
    match (run, unreadable.filter(is_this).count()) {
        (Some(run), _) => run["status"].as_str().map(str::to_owned),
        (None, 0) => None,
        (None, _) => Some("unreadable".to_owned()),
    }
}

#[test]
fn no_entry_of_a_run_can_be_replaced_so_that_a_command_hangs_panics_or_writes_elsewhere() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    let waiting = Kept::new(&env, "waiting");
    let aside = tempfile::tempdir().unwrap();
    env.copy_dir(&waiting.dir, &aside.path().join(&waiting.name));
    let waiting = Kept {
        dir: aside.path().join(&waiting.name),
        ..waiting
    };
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(3));
    drop(
        env.run(&["answer", "last", "--input", "{}", "--no-input"])
            .expect(0),
    );
    let completed = Kept::new(&env, "completed");

    let outside = aside.path().join("outside");
    std::fs::create_dir_all(outside.join("dir")).unwrap();
    std::fs::write(outside.join("file"), "not yours").unwrap();
    let mut before = Vec::new();
    everything(&outside, &mut before);

    let mut tried = 0;
    let mut slowest = Duration::ZERO;
    for kept in [&waiting, &completed] {
        // Deep trees take their time to make.
        let deep = kept.entries.iter().step_by(9).map(|entry| (entry, Put::Deep));
        let every = kept.entries.iter().flat_map(|entry| PUT.map(|put| (entry, put)));
        // Of the run that is at its end two thirds will do.
        let is_tried = |(number, _): &(usize, _)| kept.status == "waiting" || number % 3 > 0;
        let every = every.enumerate().filter(is_tried).map(|(_, what)| what);
        let all = every.chain(deep);
        for (entry, put) in all {
            let what = (kept.status, entry, put);
            let project = aside.path().join("project");
            std::fs::create_dir_all(project.join(".dhenara")).unwrap();
            std::fs::create_dir_all(project.join("runs")).unwrap();
            std::fs::copy(env.project().join("flow.yaml"), project.join("flow.yaml")).unwrap();
            env.copy_dir(&kept.dir, &project.join("runs").join(&kept.name));
            replace(&project.join("runs").join(&kept.name).join(entry), put, &outside);

            let began = Instant::now();
            let status = listed(&env, &project, &kept.name, &what);
            // Without a journal it is no run, or one that is lost.
            let may_be_lost = entry == Path::new(".run") || entry == Path::new(".run/journal.jsonl");
            match status.as_deref() {
                Some(status) if status == kept.status || status == "unreadable" => {}
                None if may_be_lost => {}
                other => panic!("{what:?}: it is listed as {other:?}"),
            }
            let name = kept.name.as_str();
            let readers = [
                &["runs", "verify", name][..],
                &["runs", "show", name],
                &["runs", "why", name, "gate"],
            ];
            let answer = &["answer", name, "--approve", "--no-input", "--no-resume"][..];
            let resume = &["resume", name, "--no-input", "--definition", "recorded"][..];
            let writers = [
                answer,
                resume,
                &["runs", "prune", "--keep-last", "1"],
                &["runs", "rm", name, "--force"],
            ];
            // One of each for every directory: every command meets more than a hundred of them.
            drop(ends(&env, &project, readers[tried % readers.len()], &what));
            drop(ends(&env, &project, writers[tried % writers.len()], &what));
            drop(ends(&env, &project, writers[(tried / 4) % writers.len()], &what));
            slowest = slowest.max(began.elapsed() / 4);
            let mut after = Vec::new();
            everything(&outside, &mut after);
            assert_eq!(after, before, "{what:?}: something was written outside");
            assert_eq!(
                std::fs::read_to_string(outside.join("file")).unwrap(),
                "not yours",
                "{what:?}"
            );
            let removed = Command::new("rm").arg("-rf").arg(&project).status().unwrap();
            assert!(removed.success());
            tried += 1;
        }
    }
    assert!(tried >= 500, "{tried}");
    tell(&format!("{tried} run directories, at most {slowest:?} a command"));
}
