//! Regular files: nothing else is opened where one is expected.

use std::fs::Metadata;
use std::io::{self, Read};
use std::path::Path;

use cap_fs_ext::OpenOptionsSyncExt;
use cap_std::fs::{Dir as CapDir, OpenOptions};

use crate::dir::invalid;
use crate::patience::patiently;

/// Opens a regular file. A pipe, a terminal or another device that stands in its place is refused at once: opening or
/// reading it could wait for ever.
pub(crate) fn open_regular(
    dir: &CapDir,
    name: &Path,
    options: &mut OpenOptions,
) -> io::Result<std::fs::File> {
    options.nonblock(true);
    let file = patiently(|| dir.open_with(name, options))?.into_std();
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(invalid("it is not a regular file"))
    }
}

/// The content of an open file, if it is a regular one, and what it has beside it.
pub(crate) fn read_whole(file: &std::fs::File, longest: u64) -> io::Result<(Vec<u8>, Metadata)> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(invalid("it is not a regular file"));
    }
    if metadata.len() > longest {
        let why = format!("it has {} bytes, and at most {longest} are read", metadata.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    let mut bytes = Vec::new();
    file.take(longest.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes, metadata))
}
