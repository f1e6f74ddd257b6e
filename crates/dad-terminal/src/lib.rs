//! Prompts, printers and live progress for the terminal.
//!
//! Everything is written to standard error: standard output carries the result of a run and nothing else. Text that
//! comes from models and commands is printed without its control characters.
//!
//! Prompts are asynchronous, and one at a time in the whole process: [`async_input`], [`ask_choice`] and their like ask one
//! question, a [`Conversation`] several. Without a terminal they fail at once ([`TerminalError::NoTerminal`]). While one
//! is open the lines of [`Progress`] and of [`print_line`] are held back.
//!
//! Ready-made handlers ask for the input of a step: [`ask_node_input`] for that of any node, [`get_ai_model_node_input`],
//! [`get_folder_analyzer_node_input`], [`get_file_operations_node_input`] and [`get_command_node_input`] for a value that a
//! handler of your own completes. [`ask_component_input`] asks for the variables of a component, [`ask_approval`] for an
//! approval.
//!
//! ```no_run
//! use dad_core::NodeType;
//! use dad_events::{HandlerError, NodeInputRequiredEvent, on};
//! use dad_terminal::{async_input, get_ai_model_node_input};
//!
//! async fn handler(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
//!     if event.node_type == NodeType::AI_MODEL_CALL {
//!         let mut input = get_ai_model_node_input(&event).await?;
//!         input.prompt_variables.insert("query", async_input("Enter your query: ").await?);
//!         event.set_input(input)?;
//!     }
//!     Ok(())
//! }
//! let handlers = [on(handler), on(dad_terminal::ask_node_input)];
//! # let _ = handlers;
//! ```

mod below;
mod conversation;
mod error;
mod fold;
mod input;
mod pager;
mod path;
mod printer;
mod progress;
mod prompt;
mod screen;
mod text;

pub use conversation::{
    Conversation, YesNo, ask_choice, ask_choices, ask_long_text, ask_number, ask_path, ask_text, ask_yes_no,
    async_input, prompts_closed,
};
pub use error::TerminalError;
pub use input::{
    AIModelInputOptions, ApprovalQuestion, AskedVariables, CommandInputOptions, FileOperationsInputOptions,
    FolderAnalyzerInputOptions, NodeQuestion, OptionUpdate, ask_approval, ask_approval_answer,
    ask_component_input, ask_node_input, ask_node_input_with, ask_question, ask_variables,
    get_ai_model_node_input, get_ai_model_node_input_with, get_command_node_input,
    get_command_node_input_with, get_file_operations_node_input, get_file_operations_node_input_with,
    get_folder_analyzer_node_input, get_folder_analyzer_node_input_with,
};
pub use path::{PathKind, PathOptions};
pub use printer::{print_component_completion, print_node_completion};
pub use progress::Progress;
pub use prompt::{open_in_browser, open_in_editor};
pub use screen::{
    Lines, PromptsForbidden, editor_is_open, forbid_prompts, is_interactive, output_width, print_line, stderr,
};
pub use text::{BOLD, DIM, printable};

/// Helpers that the crates of the run system share. They are no part of the public interface: any version may change them.
#[doc(hidden)]
pub mod internal {
    pub use dad_core::internal::count;

    pub use crate::fold::Fold;
    pub use crate::pager::{Pager, page};
    pub use crate::screen::{end_moving_lines, error_width, set_program};
    pub use crate::text::{
        cost, counts, cut, mark, one_line, only_colours, path_indent, path_name, run_style, usage, waits_for,
    };
}
