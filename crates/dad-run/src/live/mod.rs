//! A run while this process drives it: the driver, the handles for nodes and applications, and what they record.
//!
//! `commit.rs` says what a commit writes, `answering.rs` who may answer a question, and `masking.rs` what is masked. The floor uses
//! `journal`, `rerun` and `store`; only `setup` uses it.

pub(crate) mod accounts;
pub(crate) mod active_run;
pub(crate) mod activity;
pub(crate) mod adopt;
pub(crate) mod answering;
pub(crate) mod approval;
pub(crate) mod batch;
pub(crate) mod budget;
pub(crate) mod commit;
pub(crate) mod component;
pub(crate) mod control;
pub(crate) mod descriptors;
pub(crate) mod driver;
pub(crate) mod durable;
pub(crate) mod end;
pub(crate) mod events_since;
pub(crate) mod handle;
pub(crate) mod inbox;
pub(crate) mod inputs;
pub(crate) mod interrupted;
pub(crate) mod masking;
pub(crate) mod memos;
pub(crate) mod projections;
pub(crate) mod questions;
pub(crate) mod resources;
pub(crate) mod result_store;
pub(crate) mod reuse;
pub(crate) mod rules;
pub(crate) mod ruling;
pub(crate) mod scope;
pub(crate) mod seal;
pub(crate) mod sealed_run;
pub(crate) mod shared;
pub(crate) mod shown;
pub(crate) mod staged_step;
pub(crate) mod stop;
pub(crate) mod stoppable;
pub(crate) mod watch;
