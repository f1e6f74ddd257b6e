//! Any text: loading and compiling never panic, and what loads comes back from YAML as it was.
//!
//! `cargo +nightly fuzz run definition fuzz/corpus/definition tests/data/seeds` in `crates/dad-definition`.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The same that the tests do with the seeds.
#[path = "../../tests/it/any_text.rs"]
mod any_text;

fuzz_target!(|text: &str| any_text::load_and_compile(text));
