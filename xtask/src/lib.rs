//! Developer tasks, started with `cargo xtask`.
//!
//! The checks are plain functions over data, so that their tests can show that they fail where they should:
//! [`layers::check`] over the output of `cargo metadata`, [`tidy::check`] over the files of the repository, [`book::check`],
//! [`errors::check`] and [`outcomes::check`] over its pages. [`api`] records the
//! public interface of the published crates. [`ci`] is
//! everything that continuous integration does, [`bench`](mod@bench)
//! measures what steps, templates and looking at runs cost, and [`profile`] counts their instructions. [`models`] makes the
//! facts about models that `dad-models` is built with, [`mod@reference`] the page of
//! the commands, [`packages`] tries the published crates and the program of a page ([`start_rust`]) from outside, [`release`] checks
//! everything that a release needs, and [`third_party`] drives the client of models against servers that
//! others wrote.

pub mod api;
pub mod bench;
pub mod book;
pub mod browser;
pub mod ci;
pub mod clients;
pub mod errors;
pub mod floors;
pub mod imports;
pub mod layers;
pub mod models;
pub mod outcomes;
pub mod packages;
pub mod process;
pub mod profile;
mod python;
pub mod receivers;
pub mod reference;
pub mod release;
pub mod start_rust;
pub mod third_party;
pub mod tidy;

use std::path::Path;

/// Returns the root of the workspace.
///
/// # Panics
/// Panics if this crate is not one folder below it.
#[must_use]
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Compiles the program of `docs/projects.md`.
#[cfg(doctest)]
#[expect(
    rustdoc::invalid_codeblock_attributes,
    reason = "words for `dad-tests` stand behind fences"
)]
#[doc = include_str!("../../docs/projects.md")]
struct Projects;

/// Compiles the test of `docs/models.md`.
#[cfg(doctest)]
#[expect(
    rustdoc::invalid_codeblock_attributes,
    reason = "words for `dad-tests` stand behind fences"
)]
#[doc = include_str!("../../docs/models.md")]
struct Models;

/// Executes the nodes of `docs/extending.md`.
#[cfg(doctest)]
#[expect(
    rustdoc::invalid_codeblock_attributes,
    reason = "words for `dad-tests` stand behind fences"
)]
#[doc = include_str!("../../docs/extending.md")]
struct Extending;

/// Compiles the programs of `docs/howto/embed.md`.
#[cfg(doctest)]
#[doc = include_str!("../../docs/howto/embed.md")]
struct Embed;

/// Executes the test of `docs/howto/testing.md`.
#[cfg(doctest)]
#[doc = include_str!("../../docs/howto/testing.md")]
struct Testing;
