//! Plain copies of the files that the steps of a run left.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::Outcome;

/// One thing to make, in the order in which a parent comes before what is in it.
enum Item {
    Dir(PathBuf),
    File(PathBuf, PathBuf),
}

/// Makes the directories below a run once more below `target`, copies what is in them, and returns how long it took.
pub(crate) fn measure(target: &Path, run: &Path) -> Outcome<Duration> {
    let mut items = Vec::new();
    learn(run, target, &mut items)?;
    let start = Instant::now();
    for item in &items {
        make(item)?;
    }
    Ok(start.elapsed())
}

fn learn(from: &Path, target: &Path, items: &mut Vec<Item>) -> io::Result<()> {
    let mut entries = fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // What the run is beside its steps: its journal, its traces.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            items.push(Item::Dir(path.clone()));
            learn(&entry.path(), &path, items)?;
        } else {
            items.push(Item::File(entry.path(), path));
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the floor is what plain calls cost")]
fn make(item: &Item) -> io::Result<()> {
    match item {
        Item::Dir(path) => fs::create_dir(path),
        Item::File(from, to) => fs::write(to, fs::read(from)?),
    }
}
