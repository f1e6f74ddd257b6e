//! The files of steps: their digests, and reading them only as recorded.

use std::path::{Path, PathBuf};

use dad_core::{ArtifactRef, Digest};
use dad_fs::{Descent, Dir, EntryKind, FsResult};

use crate::error::RunError;
use crate::files::RunFiles;

/// The directory of a step by its name in a run.
pub(crate) type Source<'a> = (&'a dyn RunFiles, &'a Path);

pub(crate) fn full_path((run, name): Source<'_>, artifact: &ArtifactRef) -> PathBuf {
    run.path_of(&name.join(&artifact.name))
}

/// Reads one file of a step and refuses it unless it is the one that was recorded.
pub(crate) fn read_artifact(source: Source<'_>, artifact: &ArtifactRef) -> Result<Vec<u8>, RunError> {
    let corrupt = |reason: String| RunError::Corrupt {
        path: full_path(source, artifact),
        reason,
    };
    let (run, name) = source;
    let file = name.join(&artifact.name);
    let bytes = run.read_expected(&file, artifact.len).map_err(|error| {
        if error.is_not_found() {
            corrupt("it is missing".to_owned())
        } else {
            error.into()
        }
    })?;
    if bytes.len() as u64 != artifact.len {
        // Of a longer one no more was read than shows that it is.
        let len = run.len(&file)?.unwrap_or_default();
        return Err(corrupt(format!(
            "it has {len} bytes, recorded were {}",
            artifact.len
        )));
    }
    if Digest::of(&bytes) != artifact.blake3 {
        return Err(corrupt("its digest differs".to_owned()));
    }
    Ok(bytes)
}

/// Length and digest of every file below a stage.
pub(crate) fn digest_files(dir: &Dir) -> Result<Vec<ArtifactRef>, RunError> {
    let mut found = Vec::new();
    let mut descent = Descent::into_dir(dir.clone(), String::new());
    while let Some((dir, prefix)) = descent.next_dir()? {
        for entry in dir.entries()? {
            let name = format!("{prefix}{}", entry.name);
            match entry.kind {
                EntryKind::File => found.push(digest_file(&dir, &entry.name, name)?),
                EntryKind::Dir => descent.add(&dir, entry.name, format!("{name}/")),
                // A link or device made by a node is not part of its result.
                EntryKind::Symlink | EntryKind::Other => {}
            }
        }
    }
    found.sort_by(|a: &ArtifactRef, b| a.name.split('/').cmp(b.name.split('/')));
    Ok(found)
}

pub(crate) fn digest_file(dir: &Dir, file: &str, name: String) -> FsResult<ArtifactRef> {
    let mut hasher = blake3::Hasher::new();
    let mut len = 0;
    dir.read_chunks(file, |chunk| {
        len += chunk.len() as u64;
        hasher.update(chunk);
    })?;
    Ok(ArtifactRef::new(
        name,
        len,
        Digest::from(*hasher.finalize().as_bytes()),
    ))
}
