//! Masking: secrets in files that nodes, commands or users put into a run.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use dad_core::Redactor;
use dad_fs::{Descent, Dir, Durability, EntryKind, FsResult, temporary_name};

use crate::free_name::free_name;
use crate::layout::{
    CHANGES, DOT_RUN, DOT_TRACE, FILE_CHANGES, MEMO, OUTCOME_TEXT, RUN_SUMMARY, STATE, STATIC_INPUTS, STDERR,
    STDOUT, STREAM, WORLD,
};

/// The files that are masked while they are written into the directory of a step. They can be long, and are not read again.
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

/// Copies the regular files and directories of `source` into `target`, with secrets masked, also in names. What is
/// neither is left out with a warning.
pub(crate) fn copy_files(source: &Dir, target: &Dir, redactor: &Redactor) -> FsResult<()> {
    let mut descent = Descent::into_dir(source.clone(), (target.clone(), None));
    while let Some((source, (target, made))) = descent.next_dir()? {
        let target = match made {
            None => target,
            Some(name) => target.create_dir(name)?,
        };
        for (name, kind) in source.names()? {
            let masked = masked_name(&name, redactor);
            match kind {
                EntryKind::File if has_secret(&source, &name, redactor)? => {
                    tell(&source.path().join(&masked));
                    write_masked((&source, &name), (&target, &masked), redactor)?;
                }
                EntryKind::File => {
                    source.copy_file(&name, &target, &masked)?;
                }
                EntryKind::Dir => {
                    let made = Some(masked.into_owned());
                    descent.add(&source, name, (target.clone(), made));
                }
                EntryKind::Symlink => left_out(&source.path().join(&masked), "a symbolic link"),
                EntryKind::Other => left_out(&source.path().join(&masked), "neither a file nor a directory"),
            }
        }
    }
    Ok(())
}

fn left_out(path: &Path, what: &str) {
    tracing::warn!(
        "`{}` is {what}: it is not copied to the inputs of the run",
        path.display()
    );
}

/// A name with the secrets in it masked. One that is not UTF-8 stays as it is unless it holds a secret.
fn masked_name<'a>(name: &'a OsStr, redactor: &Redactor) -> Cow<'a, OsStr> {
    match redactor.redact(&name.to_string_lossy()) {
        Cow::Borrowed(_) => name.into(),
        Cow::Owned(masked) => OsString::from(masked).into(),
    }
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
    let mut descent = Descent::into_dir(dir.clone(), except);
    while let Some((dir, except)) = descent.next_dir()? {
        for (name, kind) in dir.names()? {
            if except.iter().any(|except| name == **except) {
                continue;
            }
            if kind == EntryKind::File && has_secret(&dir, &name, redactor)? {
                let masked = free_name(&dir, &temporary_name("masked"))?;
                write_masked((&dir, &name), (&dir, OsStr::new(&masked)), redactor)?;
                dir.rename(&masked, &dir, &name, Durability::Process)?;
                tell(&dir.path().join(masked_name(&name, redactor)));
            }
            if kind == EntryKind::Symlink && leads_to_secret(&dir, &name, redactor)? {
                dir.remove_file(&name)?;
                let link = dir.path().join(masked_name(&name, redactor));
                tracing::warn!(link = %link.display(), "a link that leads to a name with a secret is removed from the run");
                continue;
            }
            let name = match masked_name(&name, redactor) {
                Cow::Borrowed(_) => name,
                Cow::Owned(masked) => {
                    let free = free_name(&dir, &masked.to_string_lossy())?;
                    dir.rename(&name, &dir, &free, Durability::Process)?;
                    free.into()
                }
            };
            if kind == EntryKind::Dir {
                descent.add(&dir, name, &[]);
            }
        }
    }
    Ok(())
}

fn leads_to_secret(dir: &Dir, link: &OsStr, redactor: &Redactor) -> FsResult<bool> {
    let target = dir.link_target(link)?;
    let masked = redactor.redact_bytes(target.as_os_str().as_encoded_bytes());
    Ok(matches!(masked, Cow::Owned(_)))
}

fn has_secret(dir: &Dir, name: &OsStr, redactor: &Redactor) -> FsResult<bool> {
    if redactor.is_empty() {
        return Ok(false);
    }
    let mut stream = redactor.stream();
    dir.read_chunks(name, |chunk| {
        let _ = stream.push_bytes(chunk);
    })?;
    let _ = stream.finish_bytes();
    Ok(stream.has_masked())
}

fn write_masked(from: (&Dir, &OsStr), to: (&Dir, &OsStr), redactor: &Redactor) -> FsResult<()> {
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

fn tell(file: &Path) {
    tracing::warn!(file = %file.display(), "a secret in a file is masked in the run");
}
