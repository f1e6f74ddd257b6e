//! Names for what is moved aside.

use dad_fs::{Dir, FsResult};

/// A name in a directory that nothing has yet.
pub(crate) fn free_name(dir: &Dir, wanted: &str) -> FsResult<String> {
    let mut name = wanted.to_owned();
    let mut number = 1;
    while dir.kind(&name)?.is_some() {
        number += 1;
        name = format!("{wanted}_{number}");
    }
    Ok(name)
}
