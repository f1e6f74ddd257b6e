//! Files in a run that others wrote, without the secrets in them: those it was given, and those that nodes make.

use std::borrow::Cow;

use dad_core::Redactor;
use dad_fs::{Dir, Durability, EntryKind, FsResult, temporary_name};

use crate::layout::{
    CHANGES, DOT_RUN, DOT_TRACE, FILE_CHANGES, MEMO, OUTCOME_TEXT, RUN_SUMMARY, STATE, STATIC_INPUTS, STDERR,
    STDOUT, STREAM, WORLD,
};
use crate::resume::free_name;

/// What is masked while it is written into the directory of a step, and need not be read again: it can be long.
const MASKED_WHEN_WRITTEN: [&str; 9] = [
    CHANGES,
    FILE_CHANGES,
    MEMO,
    OUTCOME_TEXT,
    STATE,
    STDERR,
    STDOUT,
    STREAM,
    WORLD,
];

/// Copies the regular files and directories of `source` into `target`, with secrets masked, also in names.
pub(crate) fn copy_files(source: &Dir, target: &Dir, redactor: &Redactor) -> FsResult<()> {
    for entry in source.entries()? {
        let name = redactor.redact(&entry.name);
        match entry.kind {
            EntryKind::File if has_secret(source, &entry.name, redactor)? => {
                tell(&source.path().join(&*name));
                write_masked((source, &entry.name), (target, &name), redactor)?;
            }
            EntryKind::File => drop(source.copy_file(&entry.name, target, &*name)?),
            EntryKind::Dir => {
                copy_files(
                    &source.open_dir(&entry.name)?,
                    &target.create_dir(&*name)?,
                    redactor,
                )?;
            }
            EntryKind::Symlink | EntryKind::Other => {}
        }
    }
    Ok(())
}

/// Masks secrets in the files that a node made in the directory of its step, also in their names.
pub(crate) fn mask_made_files(step: &Dir, redactor: &Redactor) -> FsResult<()> {
    if redactor.is_empty() {
        return Ok(());
    }
    mask_files(step, redactor, &MASKED_WHEN_WRITTEN)
}

/// Masks secrets in what commands and others left in a run directory beside its records.
pub(crate) fn mask_left_files(run: &Dir, root_id: &str, redactor: &Redactor) -> FsResult<()> {
    if redactor.is_empty() {
        return Ok(());
    }
    mask_files(
        run,
        redactor,
        &[DOT_RUN, DOT_TRACE, STATIC_INPUTS, RUN_SUMMARY, root_id],
    )
}

fn mask_files(dir: &Dir, redactor: &Redactor, except: &[&str]) -> FsResult<()> {
    for entry in dir.entries()? {
        let name = &*entry.name;
        match entry.kind {
            _ if except.contains(&name) => continue,
            EntryKind::File if has_secret(dir, name, redactor)? => {
                let masked = temporary_name("masked");
                write_masked((dir, name), (dir, &masked), redactor)?;
                dir.rename(&masked, dir, name, Durability::Process)?;
                tell(&dir.path().join(&*redactor.redact(name)));
            }
            EntryKind::Dir => mask_files(&dir.open_dir(name)?, redactor, &[])?,
            EntryKind::File | EntryKind::Symlink | EntryKind::Other => {}
        }
        if let Cow::Owned(masked) = redactor.redact(name) {
            dir.rename(name, dir, free_name(dir, &masked)?, Durability::Process)?;
        }
    }
    Ok(())
}

fn has_secret(dir: &Dir, name: &str, redactor: &Redactor) -> FsResult<bool> {
    if redactor.is_empty() {
        return Ok(false);
    }
    let mut stream = redactor.stream();
    dir.read_chunks(name, |chunk| drop(stream.push_bytes(chunk)))?;
    drop(stream.finish_bytes());
    Ok(stream.has_masked())
}

fn write_masked(from: (&Dir, &str), to: (&Dir, &str), redactor: &Redactor) -> FsResult<()> {
    let mut file = to.0.append(to.1)?;
    let mut stream = redactor.stream();
    let mut written = Ok(());
    from.0.read_chunks(from.1, |chunk| {
        if written.is_ok() {
            written = file.append(&stream.push_bytes(chunk));
        }
    })?;
    written?;
    file.append(&stream.finish_bytes())
}

fn tell(file: &std::path::Path) {
    tracing::warn!(file = %file.display(), "a secret in a file is masked in the run");
}
