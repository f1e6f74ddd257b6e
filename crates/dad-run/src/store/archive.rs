//! Runs as one file: a tar archive of the run directory, written and read.
//!
//! An archive may come from anyone. Reading one makes regular files and directories below one new directory and nothing else, and
//! no limit of it is set by what the archive says. An imported run counts as another user's, even if the key of this user signed
//! it: the archive may bring files that the journal does not name.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use dad_core::{RunId, RunStatus, Timestamp};
use dad_fs::{Descent, Dir, Durability, EntryKind, is_plain_name};
use tar::{Archive, Builder, EntryType, Header, PaxExtensions};

use crate::clock::random_suffix;
use crate::document::{Versioned, to_file_text};
use crate::error::{RunError, SetupError};
use crate::format;
use crate::layout::{DOT_RUN, IMPORTED, INBOX, LEASE, STAGE, TRASH};
use crate::store::catalog::Catalog;
use crate::store::imported::Imported;
use crate::store::verify::Verification;
use crate::store::view::RunView;

/// No file of an archive is longer, in bytes: readers of runs refuse more.
const LONGEST_FILE: u64 = 1 << 30;
/// No archive makes more, in bytes.
const MOST_BYTES: u64 = 64 << 30;
/// No archive has more entries.
const MOST_ENTRIES: u64 = 2_000_000;
/// No path in an archive is longer, in bytes.
const LONGEST_PATH: u64 = 4096;
/// No path in an archive has more parts.
const MOST_PARTS: usize = 256;

/// The names in `.run` that are not exported, and that no archive brings: the lock of a process, the work of a step that
/// executes, and messages, which nothing in the journal vouches for.
const LEFT_OUT: [&str; 4] = [LEASE, STAGE, INBOX, IMPORTED];

/// A run that was imported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportedRun {
    /// Its id, the name of its directory.
    pub run_id: RunId,
    /// Its directory.
    pub dir: PathBuf,
    /// The number of its files.
    pub files: u64,
    /// The result of verifying it.
    pub verification: Verification,
}

impl RunView {
    /// Writes the run as a tar archive: its files below a directory of its name, in a fixed order. Links and devices, which no run
    /// has, are left out.
    ///
    /// # Errors
    /// [`SetupError::Archive`] if a process drives the run; or if a file cannot be read, or the archive cannot be written.
    pub fn export(&self, archive: impl Write) -> Result<u64, RunError> {
        if self.status == RunStatus::Running {
            let reason = format!("a process drives `{}`; export it when it has ended", self.name());
            return Err(SetupError::Archive(reason).into());
        }
        let name = self.name().into_owned();
        let failed = |error: io::Error| SetupError::Archive(format!("it cannot be written: {error}"));
        let mut tar = Builder::new(archive);
        let mut files = 0;
        for file in list(&Dir::open(self.dir())?)? {
            let len = self.files().len(Path::new(&file))?.unwrap_or(0);
            let content = self.files().open(Path::new(&file))?;
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o600);
            header.set_size(len);
            // A file that grows meanwhile, as labels do, is cut where its header says.
            tar.append_data(&mut header, format!("{name}/{file}"), content.take(len))
                .map_err(failed)?;
            files += 1;
        }
        tar.into_inner()
            .and_then(|mut archive| archive.flush())
            .map_err(failed)?;
        Ok(files)
    }
}

/// The files of a run that are exported, sorted.
fn list(run: &Dir) -> Result<Vec<String>, RunError> {
    let mut files = Vec::new();
    let mut descent = Descent::into_dir(run.clone(), String::new());
    while let Some((dir, prefix)) = descent.next_dir()? {
        for entry in dir.entries()? {
            if prefix == format!("{DOT_RUN}/") && LEFT_OUT.contains(&entry.name.as_str()) {
                continue;
            }
            let name = format!("{prefix}{}", entry.name);
            match entry.kind {
                EntryKind::File => files.push(name),
                EntryKind::Dir => descent.add(&dir, entry.name, format!("{name}/")),
                EntryKind::Symlink | EntryKind::Other => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

impl Catalog {
    /// Makes a run of a tar archive that [`RunView::export`] wrote, in the first run root of the catalogue. The run counts as another
    /// user's: looking at it executes nothing, and nothing continues it without trust.
    ///
    /// # Errors
    /// [`SetupError::Archive`] if the archive holds anything else than the regular files of one run, if it is too large, or if
    /// there is a run of its id; or if a file cannot be written. Nothing of it is left then.
    pub fn import(&self, archive: impl Read) -> Result<ImportedRun, RunError> {
        let place = self.create_first_place()?;
        let trash = place.create_dir_all(TRASH)?;
        // Whatever a crash leaves there, the next prune removes.
        let staged = format!("import_{:06x}", random_suffix());
        let dir = trash.create_dir(&staged)?;
        let imported = self.unpack(&place, &trash, &dir, &staged, archive);
        if imported.is_err() {
            trash.remove_dir_all(&staged)?;
        }
        imported
    }

    fn unpack(
        &self,
        place: &Dir,
        trash: &Dir,
        dir: &Dir,
        staged: &str,
        archive: impl Read,
    ) -> Result<ImportedRun, RunError> {
        let (run_id, files) = extract(dir, archive)?;
        for place in self.open_places()? {
            if place.kind(run_id.as_str())?.is_some() {
                return Err(SetupError::RunExists(run_id.to_string()).into());
            }
        }
        let view = RunView::open(dir.path()).map_err(|error| match error.setup() {
            Some(SetupError::OriginalSystem(_)) => refused("it holds no run with a journal"),
            // The directory is gone by the time that the message is read.
            _ => refused(
                error
                    .to_info()
                    .message
                    .replace(&dir.path().display().to_string(), run_id.as_str()),
            ),
        })?;
        let records = view.journal_end().records;
        let at = Timestamp::now();
        let mark = Versioned::new(format::IMPORTED, Imported { at, records });
        let text = to_file_text(IMPORTED, &mark)?;
        dir.open_dir(DOT_RUN)?
            .write_new(IMPORTED, &text, Durability::Process)?;
        let mut verification = view.verify()?;
        trash.rename(staged, place, run_id.as_str(), Durability::Process)?;
        let final_dir = place.path().join(run_id.as_str());
        for damage in &mut verification.damage {
            if let Ok(inside) = damage.path.strip_prefix(dir.path()) {
                damage.path = final_dir.join(inside);
            }
        }
        Ok(ImportedRun {
            run_id,
            dir: final_dir,
            files,
            verification,
        })
    }
}

fn refused(reason: impl Into<String>) -> RunError {
    SetupError::Archive(reason.into()).into()
}

fn unreadable(error: &io::Error) -> RunError {
    match error.kind() {
        // The reader of archives reports only these two so: a file that is none, and one that was copied in part.
        io::ErrorKind::Other | io::ErrorKind::UnexpectedEof => {
            refused("it ends too early, or is no archive that `runs export` wrote")
        }
        _ => refused(format!("it cannot be read: {error}")),
    }
}

/// Writes the files of an archive into an empty directory; gives the id of the run and the number of files.
fn extract(dir: &Dir, archive: impl Read) -> Result<(RunId, u64), RunError> {
    let mut archive = Archive::new(archive);
    let mut extraction = Extraction {
        dir,
        run_id: None,
        made: HashSet::new(),
        around: HashSet::new(),
        files: 0,
        bytes: 0,
    };
    let (mut entries, mut long_name) = (0, None);
    // Raw, because a name of any length would be read whole before it is looked at.
    let all = archive.entries().map_err(|error| unreadable(&error))?.raw(true);
    for entry in all {
        let mut entry = entry.map_err(|error| unreadable(&error))?;
        entries += 1;
        if entries > MOST_ENTRIES {
            return Err(refused(format!("it has more than {MOST_ENTRIES} entries")));
        }
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName | EntryType::XHeader => {
                let bytes = read_at_most(&mut entry, 4 * LONGEST_PATH)?;
                let name = if kind == EntryType::XHeader {
                    pax_path(&bytes)?
                } else {
                    Some(bytes.strip_suffix(b"\0").unwrap_or(&bytes).to_vec())
                };
                long_name = name.or(long_name);
            }
            EntryType::XGlobalHeader => {}
            EntryType::Regular | EntryType::Directory => {
                let name = match long_name.take() {
                    Some(name) => name,
                    None => entry.path_bytes().into_owned(),
                };
                let path = checked_path(&name)?;
                if kind == EntryType::Regular {
                    extraction.file(&path, &mut entry)?;
                } else {
                    extraction.directory(&path)?;
                }
            }
            _ => {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                return Err(refused(format!("`{name}` is no regular file and no directory")));
            }
        }
    }
    let run_id = extraction.run_id.ok_or_else(|| refused("it is empty"))?;
    Ok((run_id, extraction.files))
}

/// The path in a header of the format pax. Other facts in it are of no use here, but for one that changes the length.
fn pax_path(bytes: &[u8]) -> Result<Option<Vec<u8>>, RunError> {
    let mut path = None;
    for extension in PaxExtensions::new(bytes) {
        let extension = extension.map_err(|error| unreadable(&error))?;
        match extension.key() {
            Ok("path") => path = Some(extension.value_bytes().to_vec()),
            Ok(key) if key == "size" || key.starts_with("GNU.sparse") => {
                return Err(refused(format!("an entry has the extension `{key}`")));
            }
            _ => {}
        }
    }
    Ok(path)
}

fn read_at_most(entry: &mut impl Read, most: u64) -> Result<Vec<u8>, RunError> {
    let mut bytes = Vec::new();
    let read = entry.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > most {
        return Err(refused(format!("a part of it is longer than {most} bytes")));
    }
    Ok(bytes)
}

/// The parts of a path that leads from the directory of the run to a file in it.
fn checked_path(name: &[u8]) -> Result<Vec<String>, RunError> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    let wrong = || refused(format!("`{}` is no path inside a run", shown()));
    if name.len() as u64 > LONGEST_PATH {
        return Err(refused(format!(
            "a path in it is longer than {LONGEST_PATH} bytes"
        )));
    }
    let text = std::str::from_utf8(name).map_err(|_| wrong())?;
    let mut parts = Vec::new();
    for component in Path::new(text).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => {
                let part = part.to_str().ok_or_else(wrong)?;
                // A `\` or `:` is a part of a name here and leads elsewhere on another system.
                if !is_plain_name(part) || part.contains(['\\', ':', '\0']) {
                    return Err(wrong());
                }
                parts.push(part.to_owned());
            }
            _ => return Err(wrong()),
        }
    }
    if parts.len() > MOST_PARTS {
        return Err(refused(format!("a path in it has more than {MOST_PARTS} parts")));
    }
    Ok(parts)
}

struct Extraction<'d> {
    dir: &'d Dir,
    run_id: Option<RunId>,
    /// The files that were made. Names that differ in case alone are the same: on some file systems they are.
    made: HashSet<String>,
    /// The directories around them, in the same form.
    around: HashSet<String>,
    files: u64,
    bytes: u64,
}

impl Extraction<'_> {
    /// The path below the run's directory; `None` for that directory itself, and for what no archive brings.
    fn inside<'p>(&mut self, path: &'p [String]) -> Result<Option<&'p [String]>, RunError> {
        let Some((first, rest)) = path.split_first() else {
            return Ok(None);
        };
        let id: RunId = first
            .parse()
            .map_err(|_| refused(format!("`{first}` is no id of a run")))?;
        if *self.run_id.get_or_insert_with(|| id.clone()) != id {
            return Err(refused("it holds more than one run"));
        }
        let is_left_out = match rest {
            [dot_run, name, ..] => dot_run == DOT_RUN && LEFT_OUT.contains(&name.as_str()),
            _ => false,
        };
        Ok(Some(rest).filter(|rest| !rest.is_empty() && !is_left_out))
    }

    /// Notes a directory and those around it, none of which may be a file.
    fn enter(&mut self, directory: &[String]) -> Result<(), RunError> {
        for parts in 1..=directory.len() {
            let name = directory[..parts].join("/");
            let same = name.to_lowercase();
            if self.made.contains(&same) {
                return Err(refused(format!(
                    "`{name}` stands in it as a file and as a directory"
                )));
            }
            self.around.insert(same);
        }
        Ok(())
    }

    fn directory(&mut self, path: &[String]) -> Result<(), RunError> {
        if let Some(inside) = self.inside(path)? {
            self.enter(inside)?;
            self.dir.create_dir_all(inside.iter().collect::<PathBuf>())?;
        }
        Ok(())
    }

    fn file(&mut self, path: &[String], content: &mut impl Read) -> Result<(), RunError> {
        let Some(inside) = self.inside(path)? else {
            // An entry that has no place in the run must not be mistaken for its directory.
            return match path.len() {
                0 | 1 => Err(refused("it has a file in the place of the run")),
                _ => Ok(()),
            };
        };
        let bytes = read_at_most(content, LONGEST_FILE)?;
        self.bytes += bytes.len() as u64;
        if self.bytes > MOST_BYTES {
            return Err(refused(format!("its files have more than {MOST_BYTES} bytes")));
        }
        let name = inside.join("/");
        if let Some((_, around)) = inside.split_last() {
            self.enter(around)?;
        }
        let same = name.to_lowercase();
        if self.around.contains(&same) || !self.made.insert(same) {
            return Err(refused(format!("`{name}` stands in it twice")));
        }
        let file: PathBuf = inside.iter().collect();
        if let Some(around) = file.parent().filter(|around| !around.as_os_str().is_empty()) {
            self.dir.create_dir_all(around)?;
        }
        self.dir.write_new(&file, &bytes, Durability::Process)?;
        self.files += 1;
        Ok(())
    }
}
