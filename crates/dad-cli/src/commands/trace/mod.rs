//! `dhenara trace`: the commands that take the traces of runs elsewhere.

pub(crate) mod push;
