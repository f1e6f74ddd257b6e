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
    calls: Vec<Arriving>,
}

/// A call as far as it came.
struct Arriving {
    begun: Begun,
    arguments: Nesting,
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
            None => self.calls.push(Arriving::new(piece)),
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
        ids.reserve(self.calls.iter().filter_map(|call| call.begun.id.as_ref()));
        let calls = self.calls.into_iter().map(|call| call.begun);
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

impl Arriving {
    fn new(begun: Begun) -> Self {
        let mut arguments = Nesting::default();
        arguments.read(&begun.arguments);
        Self { begun, arguments }
    }

    /// Whether a piece belongs to this call: by index, else by id, as far as the server gives them. A piece without a name begins
    /// no call: with the same index it belongs to this one whatever its id.
    fn includes(&self, piece: &Begun) -> bool {
        let same = |one: Option<bool>| one.unwrap_or(true);
        let same_index = both(&self.begun.index, &piece.index);
        let same_id = both(&self.begun.id, &piece.id);
        if !same(same_index) {
            return false;
        }
        if same_index.is_some() && piece.name.is_empty() {
            return true;
        }
        // Servers repeat the name with each piece too.
        let begins_another = !piece.name.is_empty()
            && !self.begun.name.is_empty()
            && same_id.is_none()
            && self.arguments.is_closed();
        same(same_id) && !begins_another
    }

    fn add(&mut self, piece: Begun) {
        let begun = &mut self.begun;
        self.arguments.read(&piece.arguments);
        begun.arguments.push_str(&piece.arguments);
        begun.index = begun.index.take().or(piece.index);
        begun.id = begun.id.take().or(piece.id);
        begun.extra = begun.extra.take().or(piece.extra);
        if begun.name.is_empty() {
            begun.name = piece.name;
        }
    }
}

/// Whether two values are the same; `None` if one of them is not given.
fn both<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> Option<bool> {
    Some(one.as_ref()? == other.as_ref()?)
}

/// The nesting of a JSON object that arrives in pieces, each of which is read once.
#[derive(Default)]
struct Nesting {
    depth: usize,
    has_begun: bool,
    in_text: bool,
    is_escaped: bool,
}

impl Nesting {
    fn read(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_text => self.is_escaped = true,
                b'"' => self.in_text = !self.in_text,
                b'{' | b'[' if !self.in_text => {
                    self.has_begun = true;
                    self.depth += 1;
                }
                b'}' | b']' if !self.in_text => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_text
    }
}

/// The ids of calls as they are sent. Those of a turn that another model wrote may be of a form that this provider refuses, or the
/// same as in an earlier turn: such calls get ids by their place.
#[derive(Default)]
pub(super) struct CallIds<'a> {
    given: HashMap<&'a str, String>,
    sent: HashSet<String>,
    turns: usize,
}

impl<'a> CallIds<'a> {
    /// Takes up a turn of a model, whose own ids stay if its provider wrote it: they stand in it as it goes back.
    pub(super) fn take_up(&mut self, turn: &'a Message, is_own: bool) {
        self.take_up_each(
            turn,
            |_, _| is_own,
            |turn, number| format!("call_{turn}_{number}"),
        );
    }

    /// Takes up a turn of which the ids stay that fit the provider and that no call before has; others are made from the numbers
    /// of turn and call.
    pub(super) fn take_up_those(
        &mut self,
        turn: &'a Message,
        fits: impl Fn(&str) -> bool,
        make: impl Fn(usize, usize) -> String,
    ) {
        self.take_up_each(turn, |id, sent| fits(id) && !sent.contains(id), make);
    }

    fn take_up_each(
        &mut self,
        turn: &'a Message,
        stays: impl Fn(&str, &HashSet<String>) -> bool,
        make: impl Fn(usize, usize) -> String,
    ) {
        self.turns += 1;
        for (number, call) in (1..).zip(&turn.tool_calls) {
            let id = if stays(&call.id, &self.sent) {
                call.id.clone()
            } else {
                make(self.turns, number)
            };
            self.sent.insert(id.clone());
            self.given.insert(&call.id, id);
        }
    }

    /// The id of a call of the last turn that has it.
    pub(super) fn of<'b>(&'b self, id: &'b str) -> &'b str {
        self.given.get(id).map_or(id, String::as_str)
    }
}
