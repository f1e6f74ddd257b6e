//! Tests of the catalogue.

mod entries;
mod facts;
mod looking;

use super::*;

/// Writes a file as a user has it.
#[expect(
    clippy::disallowed_methods,
    reason = "a test makes the files that a user would have"
)]
fn write(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn project(models: &str) -> Result<ModelCatalog, ModelError> {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join(FILE), models);
    ModelCatalog::load(dir.path())
}

fn known(name: &str) -> ModelFacts {
    ModelFacts::clone(&ModelCatalog::default().find(name).unwrap().facts)
}
