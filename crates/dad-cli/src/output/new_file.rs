//! Files that the command makes.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use dad_fs::{AppendFile, Dir, Durability};

use crate::error::CommandError;

/// Writes a file that must not exist and appears whole or not at all. An error has the code.
pub(crate) fn write_new<T>(
    path: &Path,
    code: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let wrong = |reason: String| {
        let message = format!("`{}` cannot be made: {reason}", path.display());
        CommandError::usage(code, message)
            .with_hint("name a file that does not exist, in a directory that does")
    };
    let around = path.parent().filter(|around| !around.as_os_str().is_empty());
    let dir = Dir::open(around.unwrap_or(Path::new("."))).map_err(|error| wrong(error.to_string()))?;
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Err(wrong("it has no name that is a text".to_owned()));
    };
    let exists = || wrong("there is a file of this name".to_owned());
    if dir
        .kind(name)
        .map_err(|error| wrong(error.to_string()))?
        .is_some()
    {
        return Err(exists());
    }
    let temporary = dad_fs::temporary_name(code);
    let written = (|| {
        let file = dir.append(&temporary).map_err(|error| wrong(error.to_string()))?;
        let mut file = BufWriter::with_capacity(1 << 20, Growing(file));
        let written = write(&mut file)?;
        file.flush().map_err(|error| wrong(error.to_string()))?;
        Ok(written)
    })();
    let moved = written.and_then(|written| {
        dir.rename(&temporary, &dir, name, Durability::Process)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(written)
    });
    if moved.is_err() {
        // The error says what was wrong first.
        let _ = dir.remove_file(&temporary);
    }
    moved
}

/// A file that grows, as a writer.
struct Growing(AppendFile);

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes).map_err(|error| error.source)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
