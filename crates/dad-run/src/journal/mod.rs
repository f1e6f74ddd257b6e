//! The journal of a run: the only source of its status.
//!
//! # Architecture
//! * `record`: what a line says. These are format types: what is added to them is optional, and what is in them stays.
//! * `codec`: a line as bytes, read and written in one pass.
//! * `chain`: what binds a line to those before it, the sum and the code of its author.
//! * `file`: the writer of a journal, and its readers.
//! * `text`: texts of records, which have a bound each.
//! * `values`: fields that are too long for a line.
//! * `state`: what a sequence of records comes to. The driver, views, resume and missed events all interpret records by
//!   it.

pub(crate) mod chain;
pub(crate) mod codec;
pub(crate) mod loops;
pub(crate) mod place;
pub(crate) mod reader;
pub(crate) mod reason;
pub(crate) mod record;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod settled;
pub(crate) mod state;
pub(crate) mod step_committed;
pub(crate) mod stored;
pub(crate) mod subject;
pub(crate) mod text;
pub(crate) mod values;
pub(crate) mod writer;

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "the tests of the whole system include the file as a public module"
)]
mod forged;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
