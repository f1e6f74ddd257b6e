//! Calls of tools that a stream brings in pieces, and their ids.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::error::Refusal;
use super::json::arguments_of_text;
use crate::request::{Message, ToolCall};

/// The largest number of calls in one answer: models make some dozens at most.
pub(super) const MAX_CALLS: usize = 1000;

/// The calls of a stream in the order of their arrival.
#[derive(Default)]
pub(super) struct Calls {
    calls: Vec<Begun>,
}

/// A piece of a call, or the call as far as it came.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// The server's number: any value, or none. It distinguishes pieces and is never a place in a list.
    pub(super) index: Option<Value>,
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) arguments: String,
    /// The further fields that the provider needs back with it.
    pub(super) extra: Option<Value>,
}

impl Calls {
    /// Adds a piece to its call, or begins one.
    ///
    /// # Errors
    /// If the server begins more calls than a model makes.
    pub(super) fn add(&mut self, piece: Begun) -> Result<(), Refusal> {
        let is_full = self.calls.len() >= MAX_CALLS;
        match self.calls.iter_mut().rev().find(|call| call.includes(&piece)) {
            Some(call) => call.add(piece),
            None if is_full => return Err(Refusal::too_many_calls()),
            None => self.calls.push(piece),
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The calls, each with an id that no other has, and the further fields of each.
    pub(super) fn finish(self) -> Vec<(ToolCall, Option<Value>)> {
        let mut ids = Ids::default();
        let mut known = HashSet::new();
        ids.reserve(self.calls.iter().filter_map(|call| call.id.as_ref()));
        let calls = self.calls.into_iter();
        calls
            .map(|call| {
                let id = call.id.filter(|id| known.insert(id.clone()));
                let id = id.unwrap_or_else(|| ids.make());
                let call_of_tool = ToolCall {
                    id,
                    name: call.name,
                    arguments: arguments_of_text(&call.arguments),
                    signatures: Vec::new(),
                };
                (call_of_tool, call.extra)
            })
            .collect()
    }
}

/// The ids of calls. One that is missing, or that another call has, is made up.
#[derive(Default)]
pub(super) struct Ids {
    used: HashSet<String>,
    made: usize,
}

impl Ids {
    /// Keeps ids that the server gave from being made up.
    fn reserve<'a>(&mut self, given: impl IntoIterator<Item = &'a String>) {
        self.used.extend(given.into_iter().cloned());
    }

    /// The id of a call that no other has.
    pub(super) fn of(&mut self, given: Option<String>) -> String {
        match given {
            Some(id) if self.used.insert(id.clone()) => id,
            _ => self.make(),
        }
    }

    fn make(&mut self) -> String {
        loop {
            let id = format!("call_{}", self.made);
            self.made += 1;
            if self.used.insert(id.clone()) {
                return id;
            }
        }
    }
}

impl Begun {
    /// Whether a piece belongs to this call: by index and id, as far as the server gives them.
    fn includes(&self, piece: &Self) -> bool {
        let same_index = match (&self.index, &piece.index) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let same_id = match (&self.id, &piece.id) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        if !(same_index && same_id) {
            return false;
        }
        // A name begins a call, but servers repeat it with each piece too.
        let is_named = !piece.name.is_empty() && !self.name.is_empty();
        let has_ids = self.id.is_some() && piece.id.is_some();
        !(is_named && !has_ids && self.is_whole())
    }

    fn is_whole(&self) -> bool {
        /// Arguments that are longer are not read at each piece, which would take the square of their length.
        const MAX_BYTES: usize = 4096;
        let may_be = self.arguments.len() <= MAX_BYTES && self.arguments.trim_end().ends_with('}');
        may_be && serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok()
    }

    fn add(&mut self, piece: Self) {
        self.arguments.push_str(&piece.arguments);
        self.index = self.index.take().or(piece.index);
        self.id = self.id.take().or(piece.id);
        self.extra = self.extra.take().or(piece.extra);
        if self.name.is_empty() {
            self.name = piece.name;
        }
    }
}

/// The ids of calls as they are sent. Those of a turn that another model wrote may be of a form that this provider refuses, or the
/// same as in an earlier turn: such calls get ids by their place.
#[derive(Default)]
pub(super) struct CallIds<'a> {
    given: HashMap<&'a str, String>,
    turns: usize,
}

impl<'a> CallIds<'a> {
    /// Takes up a turn of a model, whose own ids stay if its provider wrote it.
    pub(super) fn take_up(&mut self, turn: &'a Message, is_own: bool) {
        self.take_up_those(turn, |_| is_own, |turn, number| format!("call_{turn}_{number}"));
    }

    /// Takes up a turn of which the ids stay that fit the provider; others are made from the numbers of turn and call.
    pub(super) fn take_up_those(
        &mut self,
        turn: &'a Message,
        fits: impl Fn(&str) -> bool,
        make: impl Fn(usize, usize) -> String,
    ) {
        self.turns += 1;
        for (number, call) in (1..).zip(&turn.tool_calls) {
            let id = if fits(&call.id) {
                call.id.clone()
            } else {
                make(self.turns, number)
            };
            self.given.insert(&call.id, id);
        }
    }

    /// The id of a call of the last turn that has it.
    pub(super) fn of<'b>(&'b self, id: &'b str) -> &'b str {
        self.given.get(id).map_or(id, String::as_str)
    }
}
