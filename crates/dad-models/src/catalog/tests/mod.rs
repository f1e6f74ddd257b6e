//! Tests of the catalogue.

mod entries;
mod facts;
mod looking;

use super::*;

fn project(models: &str) -> Result<ModelCatalog, ModelError> {
    let dir = tempfile::tempdir().unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "a test makes the files that a user would have"
    )]
    {
        std::fs::create_dir(dir.path().join(".dhenara")).unwrap();
        std::fs::write(dir.path().join(FILE), models).unwrap();
    }
    ModelCatalog::load(dir.path())
}

fn known(name: &str) -> ModelFacts {
    ModelFacts::clone(&ModelCatalog::default().find(name).unwrap().facts)
}
