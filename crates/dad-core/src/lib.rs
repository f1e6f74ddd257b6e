//! Ids, hierarchy paths and the plain types of definitions, results and usage.
//!
//! Every other crate of the run system speaks in these types. Nothing here does I/O or needs a runtime, so a
//! tool that only wants to read run directories can depend on this crate alone.
//!
//! ```
//! use dad_core::HierarchyPath;
//!
//! let path: HierarchyPath = "autocoder_root.main_flow.code_generator".parse()?;
//! assert_eq!(path.leaf(), "code_generator");
//! assert!("autocoder_root..x".parse::<HierarchyPath>().is_err());
//! # Ok::<(), dad_core::PathError>(())
//! ```

mod approval_rule;
mod budget;
mod canonical;
mod clean;
mod control;
mod definition;
mod duration;
mod fingerprint;
mod id;
pub mod json;
mod misread;
mod panic;
mod path;
mod printable;
mod result;
mod run_id;
mod secret;
mod serialize;
mod shell_word;
mod size;
mod spellings;
mod status;
mod suggest;
mod text;
mod usage;
mod word;

pub use approval_rule::{ApprovalRule, RuleDecision};
pub use budget::{Budget, ParseBudgetError};
pub use canonical::{CanonicalObject, Digest, ParseDigestError, canonical_json};
pub use clean::{Clean, Redact, StepValues};
pub use control::{Callback, Conditional, ForEach, OnExhausted, OnLimit, Parallel, Repeat};
pub use definition::{
    AgentDefinition, ComponentBody, ComponentKind, Definition, DefinitionKind, Element, ElementKind,
    ElementOptions, FlowDefinition, NodeDefinition, NodeType, OnError, RetryPolicy, Reuse, SCHEMA_VERSION,
};
pub use duration::{ParseDurationError, format_duration, parse_duration};
pub use fingerprint::{Fingerprint, ParseFingerprintError};
pub use id::{ElementId, IdError, MAX_ID_LENGTH, RESERVED_IDS};
pub use jiff::Timestamp;
pub use path::{HierarchyPath, PathError, PathSelector, Segment, SelectError, component_around};
pub use printable::{is_printable, printable};
pub use result::{ArtifactRef, ComponentResult, ErrorInfo, FirstFailure, StatusCounts, StepResult};
pub use run_id::{RunId, RunIdError, RunKind};
pub use secret::{Redactor, SecretRegistry, StreamRedactor};
pub use shell_word::shell_word;
pub use size::{ParseSizeError, format_size, parse_size};
pub use status::{RunStatus, StepStatus};
pub use suggest::nearest;
pub use usage::{Usage, format_dollars};
pub use word::UnknownWord;

/// Helpers that the crates of the run system share. They are no part of the public interface: any version may change them.
#[doc(hidden)]
pub mod internal {
    pub use crate::misread::{in_words, is_about_a_type};
    pub use crate::panic::panic_message;
    pub use crate::secret::has_mask;
    pub use crate::size::count;
}
