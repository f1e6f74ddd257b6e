//! Loading, building and checking of agent definitions.
//!
//! A definition is data. It comes from a file ([`load_file`], [`load_str`]) or from the builders ([`AgentBuilder`],
//! [`FlowBuilder`]), which are two spellings of one type, and [`compile()`] turns it into a [`Program`]: templates
//! parsed, `$hier` references resolved, settings checked against the schemas of their node types. All problems are
//! reported at once, each with its place.
//!
//! ```
//! let loaded = dad_definition::load_str(
//!     "schema_version: 1\nkind: flow\nelements:\n  - { node: greet, type: command, settings: { commands: [ls] } }\n",
//!     "flow.yaml",
//!     None,
//!     None,
//! )?;
//! assert_eq!(loaded.definition.body.elements[0].id.as_str(), "greet");
//!
//! let problems = dad_definition::load_str("schema_version: 1\nkind: flow\nelemets: []\n", "flow.yaml", None, None).unwrap_err();
//! assert!(problems.to_string().contains("did you mean `elements`?"));
//! # Ok::<(), dad_definition::Problems>(())
//! ```

mod approvals;
mod build;
mod compile;
mod decode;
mod emit;
mod executable;
mod fit;
mod globs;
mod graph;
mod include;
mod json;
mod json_schema;
mod load;
mod node_types;
mod parse;
mod place;
mod problem;
mod program;
mod reference;
mod select;
mod source;
mod spans;
mod spot;
mod tree;
mod validate;
mod value;
mod yaml;

pub use approvals::{Intended, ReadyRule, deciding};
pub use build::{
    AgentBuilder, CallbackBuilder, ConditionalBuilder, Elements, FlowBuilder, ForEachBuilder, NodeBuilder,
    ParallelBuilder, RepeatBuilder,
};
pub use compile::{compile, misfits};
pub use emit::{to_yaml, to_yaml_value};
pub use executable::check_executable;
pub use fit::Fit;
pub use globs::PathGlobs;
pub use graph::{GRAPH_CLASSES, GraphMark, mermaid};
pub use json_schema::definition_schema;
pub use load::{Checked, Loaded, check_file, load_data, load_data_as, load_file, load_str};
pub use node_types::{
    CallbackInfo, Compiled, NestedSettings, NodeTypeInfo, NodeTypes, Prepared, SettingsProblem,
};
pub use problem::{MAX_PROBLEMS, Problem, Problems, Severity};
pub use program::{
    Component, Content, Expression, ForEachLoop, NodeElement, Program, ProgramElement, RepeatLoop, Variable,
};
pub use reference::{References, Target, TargetSegment};
pub use select::Selected;
pub use source::SourceFile;
pub use spans::{Location, SpanMap};
pub use tree::{RenderError, TemplateTree, TreeError};
pub use validate::RUN_VARIABLES;
