//! The rules of a re-run: which steps execute, what is reused, and how a step differs from its predecessor.
//!
//! Pure: this floor reads no file. `decide.rs` answers the question "may this step be reused". It knows the records of the
//! [`journal`](crate::journal); `store`, `live` and `setup` use it.

pub(crate) mod changes;
pub(crate) mod decide;
pub(crate) mod diff_excerpt;
pub(crate) mod edit;
pub(crate) mod normalise;
pub(crate) mod order;
pub(crate) mod plan;
pub(crate) mod planner;
pub(crate) mod requests;
pub(crate) mod value_path;
pub(crate) mod word_diff;
