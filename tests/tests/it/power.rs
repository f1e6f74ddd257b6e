//! A loss of power after every change of the file system, with `Durability::Disk`.
//!
//! The run is not disturbed; every change it makes is logged, with what it announced by then. For each change the log
//! is replayed up to it, and what a disk could have kept is written elsewhere: what was synced, and of the rest
//! nothing, or only the names, or only what was appended.

#![expect(
    clippy::disallowed_methods,
    reason = "a disk is rebuilt, which is no part of a run"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use dad_tests::find_run_dirs;
use dhenara::RunStatus;
use dhenara::run::RunView;
use serde_json::Value;

use crate::crashes::{call, outcomes, record_as_driven_in};
use crate::harness::{TestEnvironment, read_lines, tell};

type Id = usize;

/// Every path that a disk kept, with the content of files.
type State = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A file or directory, as the process sees it and as the disk has it.
enum Inode {
    File {
        live: Vec<u8>,
        synced: Vec<u8>,
        is_appended_to: bool,
    },
    Dir {
        live: BTreeMap<String, Id>,
        synced: BTreeMap<String, Id>,
    },
}

/// The writes that a disk kept besides the synced ones.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    Nothing,
    /// Every name, but no content.
    Names,
    /// Appended lines, but no name and no other content: the journal runs ahead of the files that it names.
    Appended,
}

/// The project on a disk that forgets.
struct Disk {
    root: PathBuf,
    inodes: Vec<Inode>,
}

impl Disk {
    /// The project as it is, all of it synced.
    fn of(root: &Path) -> Self {
        let mut disk = Self {
            root: root.to_path_buf(),
            inodes: Vec::new(),
        };
        disk.load(root);
        disk
    }

    fn load(&mut self, path: &Path) -> Id {
        let id = self.inodes.len();
        if path.is_file() {
            let content = std::fs::read(path).unwrap();
            return self.file(content.clone(), content);
        }
        self.dir();
        let entries: Vec<_> = std::fs::read_dir(path).unwrap().map(Result::unwrap).collect();
        let names: BTreeMap<String, Id> = entries
            .iter()
            .map(|entry| (entry.file_name().into_string().unwrap(), self.load(&entry.path())))
            .collect();
        self.inodes[id] = Inode::Dir {
            live: names.clone(),
            synced: names,
        };
        id
    }

    fn file(&mut self, live: Vec<u8>, synced: Vec<u8>) -> Id {
        self.inodes.push(Inode::File {
            live,
            synced,
            is_appended_to: false,
        });
        self.inodes.len() - 1
    }

    fn dir(&mut self) -> Id {
        self.inodes.push(Inode::Dir {
            live: BTreeMap::new(),
            synced: BTreeMap::new(),
        });
        self.inodes.len() - 1
    }

    fn segments(&self, path: &Path) -> Option<Vec<String>> {
        let inside = path.strip_prefix(&self.root).ok()?;
        let segments = inside.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_str().unwrap().to_owned()),
            Component::CurDir => None,
            other => panic!("{other:?} in `{}`", path.display()),
        });
        Some(segments.collect())
    }

    fn names(&mut self, dir: Id) -> &mut BTreeMap<String, Id> {
        match &mut self.inodes[dir] {
            Inode::Dir { live, .. } => live,
            Inode::File { .. } => panic!("inode {dir} is a file"),
        }
    }

    fn find(&mut self, path: &Path) -> Option<Id> {
        let mut id = 0;
        for segment in self.segments(path).unwrap() {
            id = *self.names(id).get(&segment)?;
        }
        Some(id)
    }

    /// The directory that holds a name, and the name.
    fn place(&mut self, path: &Path) -> (Id, String) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let dir = self.find(path.parent().unwrap());
        (
            dir.unwrap_or_else(|| panic!("nothing holds `{}`", path.display())),
            name,
        )
    }

    fn make_dirs(&mut self, path: &Path) {
        let mut id = 0;
        for segment in self.segments(path).unwrap() {
            id = match self.names(id).get(&segment) {
                Some(found) => *found,
                None => {
                    let made = self.dir();
                    self.names(id).insert(segment, made);
                    made
                }
            };
        }
    }

    /// Makes a change of the log.
    fn apply(&mut self, line: &Value) {
        let path = PathBuf::from(line["path"].as_str().unwrap());
        let from = line["from"].as_str().map(PathBuf::from);
        let bytes = || line["text"].as_str().unwrap().as_bytes().to_vec();
        if self.segments(&path).is_none() {
            panic!("`{}` is outside of the project", path.display());
        }
        match line["change"].as_str().unwrap() {
            "create_dir" => self.make_dirs(&path),
            "open_file" => {
                if self.find(&path).is_none() {
                    let (dir, name) = self.place(&path);
                    let file = self.file(Vec::new(), Vec::new());
                    self.names(dir).insert(name, file);
                }
            }
            "write" => {
                let (dir, name) = self.place(&path);
                let file = self.file(bytes(), Vec::new());
                assert!(self.names(dir).insert(name, file).is_none(), "{line}");
            }
            "overwrite" => {
                let id = self.find(&path).unwrap();
                if let Inode::File { live, .. } = &mut self.inodes[id] {
                    *live = bytes();
                }
            }
            "append" => {
                let id = self.find(&path).unwrap();
                let Inode::File {
                    live, is_appended_to, ..
                } = &mut self.inodes[id]
                else {
                    panic!("{line}");
                };
                live.extend(bytes());
                *is_appended_to = true;
            }
            "truncate" => {
                let id = self.find(&path).unwrap();
                if let Inode::File { live, .. } = &mut self.inodes[id] {
                    live.truncate(line["len"].as_u64().unwrap().try_into().unwrap());
                }
            }
            "rename" => {
                let (old_dir, old) = self.place(&from.unwrap());
                let (new_dir, new) = self.place(&path);
                let moved = self.names(old_dir).remove(&old).unwrap();
                self.names(new_dir).insert(new, moved);
            }
            "link" => {
                let id = self.find(&from.unwrap()).unwrap();
                let (dir, name) = self.place(&path);
                self.names(dir).entry(name).or_insert(id);
            }
            "make_link" => {
                let (dir, name) = self.place(&path);
                let link = self.file(bytes(), bytes());
                self.names(dir).insert(name, link);
            }
            "set_attributes" => {}
            "remove" => {
                let (dir, name) = self.place(&path);
                self.names(dir).remove(&name);
            }
            "sync_file" | "sync_dir" => {
                let id = self.find(&path).unwrap();
                match &mut self.inodes[id] {
                    Inode::File { live, synced, .. } => synced.clone_from(live),
                    Inode::Dir { live, synced } => synced.clone_from(live),
                }
            }
            other => panic!("the change `{other}` is not known"),
        }
    }

    fn kept(&self, kept: Kept) -> State {
        let mut found = BTreeMap::new();
        let mut open = vec![(PathBuf::new(), 0)];
        while let Some((path, id)) = open.pop() {
            let content = match &self.inodes[id] {
                Inode::Dir { live, synced } => {
                    let names = if kept == Kept::Names { live } else { synced };
                    open.extend(names.iter().map(|(name, id)| (path.join(name), *id)));
                    None
                }
                Inode::File {
                    live,
                    synced,
                    is_appended_to,
                } => {
                    if kept == Kept::Appended && *is_appended_to {
                        Some(live.clone())
                    } else {
                        Some(synced.clone())
                    }
                }
            };
            found.insert(path, content);
        }
        found
    }
}

/// Writes what a disk kept of the project at `from` to another place, as if it had been made there.
fn write_state(state: &State, from: &Path, project: &Path) {
    for (path, content) in state {
        match content {
            None => std::fs::create_dir_all(project.join(path)).unwrap(),
            Some(content) => std::fs::write(project.join(path), content).unwrap(),
        }
    }
    record_as_driven_in(from, project);
}

/// The announcements of the run when the power went.
#[derive(Clone, Default)]
struct Told {
    steps: BTreeSet<String>,
    /// Exchanges whose answer was given back to the node.
    paid: BTreeSet<String>,
    has_ended: bool,
}

impl Told {
    fn count(&self) -> usize {
        self.steps.len() + self.paid.len() + usize::from(self.has_ended)
    }

    /// Notes a line of the log; `false` if it is a change.
    fn add(&mut self, line: &Value) -> bool {
        if let Some(paid) = line["paid"].as_str() {
            self.paid.insert(paid.to_owned());
        }
        self.steps.extend(line["step"].as_str().map(str::to_owned));
        self.has_ended |= line["ended"] == true;
        line["change"].is_null()
    }
}

/// Loses the power after every change of a phase.
fn every_loss(phase: &str, prepare: fn(&TestEnvironment), at_least: usize) {
    let undisturbed = TestEnvironment::new();
    prepare(&undisturbed);
    undisturbed.is_checked();
    let mut disk = Disk::of(&undisturbed.project());
    let known = find_run_dirs(&undisturbed.project()).len();
    let file = undisturbed.path("tmp/log");
    let whole = call(&undisturbed, phase, 0, &format!("log={}", file.display()));
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let wanted = outcomes(&newest(&undisturbed).unwrap());
    let log = read_lines(&file);

    let mut told = Told::default();
    // Disks that were looked at, and how much had been told by then.
    let mut seen: Vec<BTreeMap<State, usize>> = vec![BTreeMap::new(); 3];
    let (mut changes, mut resumed) = (0, 0);
    for (index, line) in log.iter().enumerate() {
        if !told.add(line) {
            disk.apply(line);
            changes += 1;
        }
        // The power goes before the next change, when everything before that is announced.
        if log.get(index + 1).is_some_and(|next| next["change"].is_null()) {
            continue;
        }
        for (kept, seen) in [Kept::Nothing, Kept::Names, Kept::Appended]
            .into_iter()
            .zip(&mut seen)
        {
            let at = format!("{phase}, {kept:?} kept after change {changes}, {line}");
            let state = disk.kept(kept);
            let before = seen.insert(state.clone(), told.count());
            if before == Some(told.count()) {
                continue;
            }
            let env = TestEnvironment::new();
            env.is_checked();
            write_state(&state, &disk.root, &env.project());
            check(&env, &told, known, phase, &at);
            // A process that resumes from the same disk gets the same result.
            if before.is_none() {
                resumed += 1;
                finish(&env, &told, known, phase, &at);
                assert_eq!(outcomes(&newest(&env).unwrap()), wanted, "{at}");
            }
        }
    }
    tell(&format!(
        "losses of power: {phase} has {changes} changes, which leave {resumed} different disks"
    ));
    assert!(changes >= at_least, "{phase} has only {changes} changes left");
}

fn newest(env: &TestEnvironment) -> Option<PathBuf> {
    let runs = find_run_dirs(&env.project()).into_iter();
    let mut seen: Vec<_> = runs
        .filter_map(|run| Some((RunView::open(&run).ok()?.created_at, run)))
        .collect();
    seen.sort();
    seen.pop().map(|(_, run)| run)
}

/// The run of the phase, if the disk kept it.
fn run_of(env: &TestEnvironment, known: usize, phase: &str) -> Option<RunView> {
    let dirs = dhenara::run::Dirs::new(&env.project(), None, None).unwrap();
    // Every run that can be seen can be read.
    let runs = dirs.catalog().list().unwrap();
    let new = usize::from(phase != "resume");
    assert!(runs.len() <= known + new, "{phase}: {} runs", runs.len());
    assert!(runs.len() >= known, "{phase}: a run of before is gone");
    let views = runs.iter().map(|run| RunView::open(&run.dir).unwrap());
    let newest = views.max_by_key(|view| view.created_at)?;
    (runs.len() == known + new).then_some(newest)
}

/// Every announced step is there, and so is every file that a record names.
fn check(env: &TestEnvironment, told: &Told, known: usize, phase: &str, at: &str) {
    let Some(view) = run_of(env, known, phase) else {
        assert!(
            told.steps.is_empty() && told.paid.is_empty(),
            "{at}: the run is gone"
        );
        return;
    };
    for path in &told.steps {
        let step = view.step(&path.parse().unwrap());
        assert!(step.is_some(), "{at}: {path} was announced and is not committed");
    }
    assert_eq!(view.verify().unwrap().damage, [], "{at}");
    if told.has_ended {
        assert_eq!(view.sealed_status(), Some(RunStatus::Completed), "{at}");
    }
}

/// Resumes the run or begins it again; nothing that was paid for and handed over is paid for twice.
fn finish(env: &TestEnvironment, told: &Told, known: usize, phase: &str, at: &str) {
    let view = run_of(env, known, phase);
    // What is under `finally` executes again when the run is gone on with, also if it was committed.
    let finally = "scenario.last_one";
    let executes_again = view
        .as_ref()
        .is_some_and(|view| view.step(&finally.parse().unwrap()).is_some());
    let next = match view {
        Some(view) if view.sealed_status() == Some(RunStatus::Completed) => return,
        Some(_) => "resume",
        None => phase,
    };
    let file = env.project().join("exchanges");
    drop(std::fs::remove_file(&file));
    let finished = call(env, next, u64::MAX, "quiet");
    assert_eq!(finished.code, Some(0), "{at}, then {next}: {}", finished.stderr);
    let again = std::fs::read_to_string(file).unwrap_or_default();
    let mut twice: Vec<&str> = again.lines().filter(|line| told.paid.contains(*line)).collect();
    twice.retain(|line| !(executes_again && line.starts_with(finally)));
    assert!(twice.is_empty(), "{at}: {twice:?} paid for twice");
}

#[test]
fn a_run_survives_every_loss_of_power() {
    every_loss("run", |_| {}, 250);
}

#[test]
fn a_rerun_survives_every_loss_of_power() {
    let prepare = |env: &TestEnvironment| assert_eq!(call(env, "run", u64::MAX, "quiet").code, Some(0));
    every_loss("rerun", prepare, 243);
}

#[test]
fn a_resume_survives_every_loss_of_power() {
    // In the middle of the second iteration.
    let prepare = |env: &TestEnvironment| assert_eq!(call(env, "run", 45, "die").code, Some(86));
    every_loss("resume", prepare, 220);
}
