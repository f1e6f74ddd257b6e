//! The output of the command: documents and lines on standard output, summaries and hints on standard error.

pub(crate) mod answers;
pub(crate) mod change;
pub(crate) mod fold;
pub(crate) mod hint;
pub(crate) mod json;
pub(crate) mod new_file;
pub(crate) mod out;
pub(crate) mod plan;
pub(crate) mod program;
pub(crate) mod readable;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod timeline;
pub(crate) mod tree;
