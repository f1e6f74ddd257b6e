//! Runs whose files are not in a directory.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dad_fs::{Dir, Entry, EntryKind, FsError, FsResult};
use dad_run::{Origin, RunEnd, RunError, RunFiles, RunView};
use dad_tests::TestProject;

use crate::{commit_one, set_up};

/// The files of a run, held in memory.
#[derive(Clone, Debug)]
struct Kept {
    run_dir: PathBuf,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Kept {
    fn of(run_dir: &Path) -> Self {
        let mut kept = Self {
            run_dir: run_dir.to_owned(),
            files: BTreeMap::new(),
        };
        kept.add(&Dir::open(run_dir).unwrap(), Path::new(""));
        kept
    }

    fn add(&mut self, dir: &Dir, below: &Path) {
        for entry in dir.entries().unwrap() {
            let name = below.join(&entry.name);
            match entry.kind {
                EntryKind::File => drop(self.files.insert(name, dir.read(&entry.name).unwrap())),
                EntryKind::Dir => self.add(&dir.open_dir(&entry.name).unwrap(), &name),
                EntryKind::Symlink | EntryKind::Other => {}
            }
        }
    }

    fn missing(&self, name: &Path) -> FsError {
        FsError::new("fetch", self.run_dir.join(name), io::ErrorKind::NotFound.into())
    }
}

impl RunFiles for Kept {
    fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    fn open(&self, name: &Path) -> FsResult<Box<dyn Read + Send>> {
        let bytes = self.files.get(name).ok_or_else(|| self.missing(name))?;
        Ok(Box::new(Cursor::new(bytes.clone())))
    }

    fn len(&self, name: &Path) -> FsResult<Option<u64>> {
        Ok(self.files.get(name).map(|bytes| bytes.len() as u64))
    }

    fn list(&self, name: &Path) -> FsResult<Vec<Entry>> {
        let inside = self.files.keys().filter_map(|file| file.strip_prefix(name).ok());
        let mut entries = BTreeMap::new();
        for file in inside {
            let mut segments = file.components();
            let Some(first) = segments.next() else { continue };
            let kind = match segments.next() {
                None => EntryKind::File,
                Some(_) => EntryKind::Dir,
            };
            entries.insert(first.as_os_str().to_str().unwrap().to_owned(), kind);
        }
        if entries.is_empty() {
            Err(self.missing(name))
        } else {
            Ok(entries
                .into_iter()
                .map(|(name, kind)| Entry::new(name, kind))
                .collect())
        }
    }
}

#[tokio::test]
async fn a_run_is_read_alike_wherever_its_files_are_kept() {
    let project = TestProject::new();
    let run = set_up(project.path());
    let dir = run.identity().run_dir.clone();
    commit_one(&run);
    run.complete_run(RunEnd::Failed, None).await.unwrap();

    let key = dad_tests::origin_key();
    let kept = Kept::of(&dir);
    let (here, there) = (
        RunView::open_with(&dir, Some(&key)).unwrap(),
        RunView::of_files(Arc::new(kept.clone()), Some(&key)).unwrap(),
    );
    assert_eq!(there.origin(), Origin::Mine);
    assert_eq!(there.status, here.status);
    assert_eq!(there.dir(), here.dir());
    assert_eq!(there.totals, here.totals);
    let path = "flow.one".parse().unwrap();
    assert_eq!(there.result(&path).unwrap(), here.result(&path).unwrap());
    assert_eq!(
        there.definition().unwrap().definition,
        here.definition().unwrap().definition
    );
    let verified = there.verify().unwrap();
    assert_eq!(verified, here.verify().unwrap());
    assert!(verified.files > 4, "{verified:?}");

    let mut damaged = kept;
    let result = Path::new("flow/one/result.json");
    damaged.files.get_mut(result).unwrap()[0] ^= 1;
    damaged.files.remove(Path::new("flow/one/outcome.json"));
    let damaged = RunView::of_files(Arc::new(damaged), None).unwrap();
    let found: Vec<String> = damaged
        .verify()
        .unwrap()
        .damage
        .into_iter()
        .map(|damage| {
            let path = damage.path.strip_prefix(&dir).unwrap().display().to_string();
            format!("{path}: {}", damage.reason)
        })
        .collect();
    assert_eq!(
        found,
        [
            "flow/one/outcome.json: it is missing",
            "flow/one/result.json: it is not the file that was recorded"
        ]
    );
    assert!(matches!(damaged.result(&path), Err(RunError::Corrupt { .. })));
}
