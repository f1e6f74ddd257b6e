//! The places up to which receivers acknowledged the files of a run: `.trace/export.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use dad_fs::{Dir, Durability, FsError, optional};
use serde::{Deserialize, Serialize};

use super::lines::file_of;
use crate::settings::Signal;

/// The file, beside those of the signals.
const FILE: &str = "export.json";

/// The version of its format.
const VERSION: u32 = 1;

/// The time for which another process may hold the lock, which is held only to read and write the file.
const PATIENCE: Duration = Duration::from_secs(2);

/// The content of the file: by destination and file the offset behind the last line that was acknowledged.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    schema_version: u32,
    #[serde(default)]
    destinations: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Stored {
    fn read(dir: &Dir) -> Result<Self, String> {
        let read = dir.read_optional(FILE).map_err(|error| described(&error))?;
        let Some(bytes) = read else {
            return Ok(Self {
                schema_version: VERSION,
                destinations: BTreeMap::new(),
            });
        };
        let path = dir.path().join(FILE);
        let path = path.display();
        let stored: Self = serde_json::from_slice(&bytes).map_err(|error| {
            format!("`{path}` cannot be read: {error}; without the file everything is sent again")
        })?;
        if stored.schema_version > VERSION {
            return Err(format!(
                "`{path}` has the version {}, and this program reads versions up to {VERSION}: install a newer one",
                stored.schema_version
            ));
        }
        Ok(stored)
    }
}

/// The offset up to which a destination has a signal.
pub(super) fn acknowledged(trace_dir: &Path, destination: &str, signal: Signal) -> Result<u64, String> {
    let Some(dir) = optional(Dir::open(trace_dir)).map_err(|error| described(&error))? else {
        return Ok(0);
    };
    let stored = Stored::read(&dir)?;
    let offsets = stored.destinations.get(destination);
    Ok(offsets
        .and_then(|offsets| offsets.get(file_of(signal)))
        .copied()
        .unwrap_or(0))
}

/// Records that a destination has a signal up to an offset. The offsets of several processes are merged: the larger one stands.
pub(super) fn acknowledge(
    trace_dir: &Path,
    destination: &str,
    signal: Signal,
    offset: u64,
) -> Result<(), String> {
    let dir = open(trace_dir)?;
    let begun = Instant::now();
    let _lock = loop {
        match dir.lock_directory().map_err(|error| described(&error))? {
            Some(lock) => break lock,
            None if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            None => return Err(format!("another process holds `{}`", trace_dir.display())),
        }
    };
    let mut stored = Stored::read(&dir)?;
    let offsets = stored.destinations.entry(destination.to_owned()).or_default();
    let stored_offset = offsets.entry(file_of(signal).to_owned()).or_default();
    if *stored_offset >= offset {
        return Ok(());
    }
    *stored_offset = offset;
    let bytes = serde_json::to_vec_pretty(&stored).map_err(|error| error.to_string())?;
    dir.replace(FILE, &bytes, Durability::Process)
        .map_err(|error| described(&error))
}

fn open(trace_dir: &Path) -> Result<Dir, String> {
    Dir::open(trace_dir)
        .and_then(Dir::shared_as_it_is)
        .map_err(|error| described(&error))
}

fn described(error: &FsError) -> String {
    format!("{error}: {}", error.source)
}

#[cfg(test)]
mod tests {
    use dad_fs::ScratchDir;

    use super::*;

    #[test]
    fn offsets_of_several_writers_are_merged_and_never_go_back() {
        let scratch = ScratchDir::new().unwrap();
        let dir = scratch.path();
        std::thread::scope(|scope| {
            for writer in 0..4u64 {
                scope.spawn(move || {
                    for step in 0..25 {
                        let offset = step * 4 + writer;
                        acknowledge(dir, "a", Signal::Traces, offset).unwrap();
                        acknowledge(dir, &format!("of {writer}"), Signal::Logs, offset).unwrap();
                    }
                });
            }
        });
        assert_eq!(acknowledged(dir, "a", Signal::Traces), Ok(99));
        for writer in 0..4 {
            assert_eq!(
                acknowledged(dir, &format!("of {writer}"), Signal::Logs),
                Ok(96 + writer)
            );
        }
        acknowledge(dir, "a", Signal::Traces, 5).unwrap();
        assert_eq!(acknowledged(dir, "a", Signal::Traces), Ok(99));
        assert_eq!(acknowledged(dir, "a", Signal::Metrics), Ok(0));
    }

    #[test]
    fn a_file_of_a_newer_version_is_left_as_it_is() {
        let scratch = ScratchDir::new().unwrap();
        let dir = Dir::open(scratch.path()).unwrap();
        let newer = br#"{"schema_version": 2, "offsets": []}"#;
        dir.replace(FILE, newer, Durability::Process).unwrap();
        let error = acknowledge(scratch.path(), "a", Signal::Traces, 5).unwrap_err();
        assert!(error.ends_with("install a newer one"), "{error}");
        assert_eq!(dir.read(FILE).unwrap(), newer);
    }
}
