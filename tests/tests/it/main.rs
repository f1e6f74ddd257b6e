//! The whole system through its public surface: the command line, and the facade for programs in Rust.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
#![expect(clippy::disallowed_methods, reason = "tests make the files a user would have")]

mod harness;
mod nodes;
#[cfg(unix)]
mod pty;

mod answering;
mod answers;
mod approval;
mod asking;
mod autocoder;
#[cfg(target_os = "linux")]
mod command_ends;
mod commands;
mod concurrency;
mod continued;
mod control;
mod crashes;
mod damaged;
mod ends;
mod escapes;
#[cfg(unix)]
mod escapes_reading;
mod events;
mod failures;
mod file_changes;
mod flows;
#[cfg(unix)]
#[cfg(unix)]
mod folder_view;
mod foreign_runs;
mod formats;
mod frozen;
mod full_disk;
mod generated;
mod git;
#[cfg(unix)]
mod hostile_files;
#[cfg(unix)]
mod hostile_run;
mod http;
mod intervene;
mod json;
mod json_outside;
mod kept_files;
mod kills;
mod lossless;
mod models;
#[cfg(unix)]
mod more_truth;
mod named_models;
#[cfg(unix)]
mod obeyed;
mod original;
#[cfg(unix)]
mod output;
mod paid;
mod power;
mod private_runs;
#[cfg(unix)]
mod project;
#[cfg(unix)]
mod protected;
mod prune;
mod refusals;
mod render;
mod repair;
mod replaced;
mod replayed;
mod rerun;
mod resume;
#[cfg(unix)]
mod room;
#[cfg(unix)]
mod rules;
mod same_question;
mod sandbox;
#[cfg(unix)]
mod secrets;
#[cfg(unix)]
mod secrets_in_files;
#[cfg(unix)]
mod secrets_of_models;
mod shell_values;
mod shown;
mod sizes;
#[cfg(unix)]
mod static_truth;
mod stops;
#[cfg(unix)]
mod stops_real;
#[cfg(unix)]
mod talks;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod texts;
mod together;
mod told;
mod tool_calls;
mod traces;
#[cfg(unix)]
mod trust;
mod truth;
mod tutorial;
