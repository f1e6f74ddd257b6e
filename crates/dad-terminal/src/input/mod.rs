//! Ready-made handlers: they ask at the terminal for the input of a step, by the type of its node.

mod ai_model;
mod approval;
mod asker;
mod command;
mod component;
mod file_operation;
mod folder_analyzer;
mod form;
mod question;
mod schema;

pub use ai_model::{
    AIModelInputOptions, AskedVariables, OptionUpdate, get_ai_model_node_input, get_ai_model_node_input_with,
};
pub use approval::{ApprovalQuestion, ask_approval, ask_approval_answer};
pub use asker::NodeQuestion;
pub use command::{CommandInputOptions, get_command_node_input, get_command_node_input_with};
pub use component::{ask_component_input, ask_variables};
pub use file_operation::{
    FileOperationsInputOptions, get_file_operations_node_input, get_file_operations_node_input_with,
};
pub use folder_analyzer::{
    FolderAnalyzerInputOptions, get_folder_analyzer_node_input, get_folder_analyzer_node_input_with,
};
pub use question::{ask_node_input, ask_node_input_with, ask_question};
