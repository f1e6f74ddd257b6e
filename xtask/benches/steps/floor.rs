//! Plain writes of the files of a run.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Outcome;

/// One thing to make, in the order in which a parent comes before what is in it.
enum Item {
    Dir(PathBuf),
    File(PathBuf, Vec<u8>),
    /// A file that grows line by line, each by one write.
    Lines(PathBuf, Vec<u8>),
}

/// Makes what is below `model` once more below `target` and returns how long it took.
pub(crate) fn measure(target: &Path, model: &Path) -> Outcome<Duration> {
    let mut items = Vec::new();
    learn(model, target, &mut items)?;
    let start = Instant::now();
    for item in &items {
        make(item)?;
    }
    Ok(start.elapsed())
}

fn learn(model: &Path, target: &Path, items: &mut Vec<Item>) -> io::Result<()> {
    let mut entries = fs::read_dir(model)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            items.push(Item::Dir(path.clone()));
            learn(&entry.path(), &path, items)?;
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            items.push(Item::Lines(path, fs::read(entry.path())?));
        } else {
            items.push(Item::File(path, fs::read(entry.path())?));
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the floor is what plain calls cost")]
fn make(item: &Item) -> io::Result<()> {
    match item {
        Item::Dir(path) => fs::create_dir(path),
        Item::File(path, bytes) => fs::write(path, bytes),
        Item::Lines(path, bytes) => {
            let mut file = File::create(path)?;
            bytes
                .split_inclusive(|byte| *byte == b'\n')
                .try_for_each(|line| file.write_all(line))
        }
    }
}
