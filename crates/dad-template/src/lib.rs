//! The template language of agent definitions: parsed once, evaluated within limits.
//!
//! A [`Template`] is text with placeholders: `$var{name}`, `$expr{…}` and `$hier{step}`. It is parsed once and
//! evaluated any number of times against a [`Scope`], which says what variables and step results there are. Values
//! that are put in are never scanned again, and an expression reaches nothing but the scope: no files, network,
//! environment, clock or randomness, and never more time and memory than its [`Limits`] allow.
//!
//! The language is described in `docs/templates.md`.
//!
//! ```
//! use dad_template::{Limits, Scope, ScopeError, Template, Value};
//!
//! struct Run;
//!
//! impl Scope for Run {
//!     fn variable(&self, name: &str) -> Result<Option<Value>, ScopeError> {
//!         Ok((name == "task").then(|| Value::from("sort the list")))
//!     }
//!
//!     fn step(&self, reference: &str) -> Result<Option<Value>, ScopeError> {
//!         Ok((reference == "build").then(|| {
//!             Value::from(serde_json::json!({"outcome": {"all_succeeded": true}, "error": null}))
//!         }))
//!     }
//! }
//!
//! let template = Template::parse("$var{task}: $expr{ $hier{build}.outcome.all_succeeded ? 'built' : 'broken' }")?;
//! assert_eq!(template.render(&Run, &Limits::default())?, "sort the list: built");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod ast;
mod builtins;
mod call;
mod compare;
mod error;
mod eval;
mod format;
mod function;
mod int;
mod json;
mod lexer;
mod limits;
mod machine;
mod methods;
mod number;
mod ops;
mod parser;
mod printer;
mod references;
mod scan;
mod scope;
mod sort;
mod template;
mod text;
mod value;
mod words;

pub use builtins::function_names;
pub use error::{EvalError, EvalErrorKind, ParseError, ScopeError, Span};
pub use function::Function;
pub use limits::{Counters, Limits};
pub use references::{PathSegment, Reference, ReferenceKind};
pub use scope::Scope;
pub use template::{Part, Placeholder, PlaceholderKind, RenderOptions, Template, escape};
pub use value::{Int, Object, Range, Set, ToJsonError, Value};
pub use words::limit_words;
