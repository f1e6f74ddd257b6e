//! The whole system through its public surface: the command line, and the facade for programs in Rust.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a scenario is read with its snapshots from top to bottom"
)]
#![expect(clippy::disallowed_methods, reason = "tests make the files a user would have")]

mod graphs;
mod harness;
mod nodes;
mod page_commands;
mod pages;
#[cfg(unix)]
mod pty;
mod waiting;
mod watching;

mod answering;
mod answers;
mod approval;
mod archives;
mod asking;
mod autocoder;
mod batches;
mod cancel_and_settle;
#[cfg(unix)]
mod causes;
#[cfg(unix)]
mod chatbot;
#[cfg(target_os = "linux")]
mod command_ends;
mod commands;
mod completions;
mod concurrency;
mod concurrent_processes;
mod configuration;
mod control;
mod crashes;
mod damaged;
mod doctor;
mod document_blocks;
mod document_names;
mod document_runs;

mod driving;
mod error_messages;
mod escapes;
#[cfg(unix)]
mod escapes_reading;
mod events;
#[cfg(unix)]
mod executable_files;
mod exporters;
mod failures;
mod file_changes;
mod first_project;
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
mod html_pages;
mod http;
mod json;
mod json_outside;
mod kept_files;
mod kills;
mod library_runs;
mod limits;
mod logs;
mod lossless_values;
#[cfg(unix)]
mod mistakes;
mod model_catalog;
mod model_mistakes;
mod model_reserves;
mod models;
mod named_models;
mod original;
mod original_fields;
#[cfg(target_os = "linux")]
mod outcome_fields;
#[cfg(unix)]
mod output;
mod paging;
mod power;
mod private_runs;
#[cfg(unix)]
mod project;
mod project_runs;
#[cfg(unix)]
mod prompt_caches;
mod protected;
mod prune;
mod reference_page;
mod refusals;
mod render;
mod repair;
mod replaced;
mod replayed;
mod rerun;
mod resume;
mod resume_costs;
mod resume_settings;
#[cfg(unix)]
mod room;
#[cfg(unix)]
mod rules;
mod run_costs;
#[cfg(unix)]
mod run_logs;
mod run_reports;
#[cfg(unix)]
mod run_traces;
mod runs_diff;
mod runs_get;
mod runs_labels;
mod runs_list;
mod runs_search;
mod runs_show;
mod runs_why;
mod same_question;
mod sandbox;
#[cfg(target_os = "linux")]
mod screens;
#[cfg(unix)]
mod secrets;
#[cfg(unix)]
mod secrets_in_files;
#[cfg(unix)]
mod secrets_of_models;
mod shell_values;
mod show_step;
#[cfg(unix)]
mod start_page;
#[cfg(unix)]
mod static_checks;
mod stops;
#[cfg(unix)]
mod stops_real;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod terminal_live;
#[cfg(unix)]
mod texts;
mod tool_calls;
mod tool_loops;
mod trace_convert;
mod traces;
#[cfg(unix)]
mod trust;
mod tutorial;
#[cfg(unix)]
mod viewing;
