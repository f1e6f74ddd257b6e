//! Processes of this machine, as Linux shows them below `/proc`; elsewhere there are none to be seen.

use std::collections::HashMap;
use std::str::FromStr;

use dad_core::shell_word;
use dad_run::TOKEN_VARIABLE;
use serde::Serialize;

use super::spawn::GATE_VARIABLE;

/// The number of processes that a result names, and of characters of each: a program may start very many.
pub(super) const MAX_SHOWN: usize = 20;
const LONGEST_SHOWN: usize = 300;

/// A process of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Member {
    pub(crate) pid: u32,
    pub(crate) command: String,
}

impl Member {
    /// The process with what it was started as; `None` of one that has ended.
    fn alive(pid: u32) -> Option<Self> {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let words: Vec<String> = words
            .map(|word| shell_word(&String::from_utf8_lossy(word)))
            .collect();
        let command: String = words.join(" ").chars().take(LONGEST_SHOWN).collect();
        (!command.is_empty()).then_some(Self { pid, command })
    }
}

/// The processes of this machine, by their numbers.
fn pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A field of what the system says of a process, counted from its state.
fn field_of<T: FromStr>(pid: u32, field: usize) -> Option<T> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it, in parentheses, may hold blanks.
    let fields = stat.rsplit_once(')')?.1;
    fields.split_whitespace().nth(field)?.parse().ok()
}

const STATE: usize = 0;
const PARENT: usize = 1;
const SESSION: usize = 3;

/// The processes of the session of a gate, but for the gate. Those of smaller numbers are older, unless the numbers began anew;
/// then some are not seen.
pub(super) fn members_of(gate: u32) -> Vec<Member> {
    let members = pids().filter(|pid| *pid > gate && field_of(*pid, SESSION) == Some(gate));
    members.filter_map(Member::alive).collect()
}

/// The processes of the session of a gate that a signal stopped.
pub(super) fn stopped(gate: u32) -> Vec<Member> {
    let is_stopped = |pid: &u32| field_of(*pid, STATE) == Some('T') && field_of(*pid, SESSION) == Some(gate);
    let stopped = pids().filter(|pid| *pid >= gate && is_stopped(pid));
    stopped.filter_map(Member::alive).collect()
}

/// The processes that were started behind a gate and left its session, as far as [`members_of`] would see them.
pub(super) fn left_of(gate: u32, token: &str) -> Vec<Member> {
    let marks = [
        format!("{TOKEN_VARIABLE}={token}"),
        format!("{GATE_VARIABLE}={gate}"),
    ];
    let is_marked = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |mark: &String| {
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
        };
        marks.iter().all(has)
    };
    // What still ends is in the session.
    let has_left = |pid: &u32| field_of(*pid, SESSION) != Some(gate);
    let younger = pids().filter(|pid| *pid > gate && has_left(pid));
    younger
        .filter(is_marked)
        .filter_map(Member::alive)
        .take(MAX_SHOWN)
        .collect()
}

/// The processes in the sandbox of a group: what lies below the gate, the program that makes the sandbox, and the first
/// process in it.
pub(super) fn inside(gate: u32) -> Vec<u32> {
    const OF_SANDBOX: usize = 3;
    let parents: HashMap<u32, u32> = pids()
        .filter_map(|pid| Some((pid, field_of(pid, PARENT)?)))
        .collect();
    let is_inside = |pid: u32| {
        let mut depth = 0;
        let mut at = pid;
        // Parents that changed meanwhile must not lead in a circle.
        while at != gate && depth < parents.len() {
            let Some(parent) = parents.get(&at) else {
                return false;
            };
            at = *parent;
            depth += 1;
        }
        at == gate && depth >= OF_SANDBOX
    };
    parents.keys().copied().filter(|pid| is_inside(*pid)).collect()
}
