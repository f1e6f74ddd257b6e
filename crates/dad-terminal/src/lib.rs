//! Prompts, printers and live progress for the terminal.
//!
//! Everything is written to standard error: standard output carries the result of a run and nothing else. Text that
//! comes from models and commands is printed without its control characters.

mod input;
mod printer;
mod progress;
mod text;

pub use input::{TerminalError, async_input, get_ai_model_node_input, is_interactive};
pub use printer::{print_component_completion, print_node_completion};
pub use progress::Progress;
pub use text::{
    BOLD, DIM, count, counts, cut, mark, one_line, path_indent, path_name, printable, run_style, usage,
    waits_for,
};
