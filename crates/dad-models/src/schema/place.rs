//! The place of a value in a schema, as a chain of keys.

use std::fmt::Write;

/// A place. Its pointer is written only for a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// A value that a pointer leads to.
    At(&'a str),
    /// A value of an object.
    Key(&'a Place<'a>, &'a str),
    /// An element of an array.
    Index(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub(super) const ROOT: Place<'static> = Place::At("");

    pub(super) fn key(&'a self, key: &'a str) -> Place<'a> {
        Place::Key(self, key)
    }

    pub(super) fn index(&'a self, index: usize) -> Place<'a> {
        Place::Index(self, index)
    }

    pub(super) fn pointer(&self) -> String {
        let mut steps = Vec::new();
        let mut place = *self;
        let mut pointer = loop {
            match place {
                Place::At(start) => break start.to_owned(),
                Place::Key(parent, key) => {
                    steps.push(escaped(key));
                    place = *parent;
                }
                Place::Index(parent, index) => {
                    steps.push(index.to_string());
                    place = *parent;
                }
            }
        };
        for step in steps.iter().rev() {
            let _ = write!(pointer, "/{step}");
        }
        pointer
    }
}

/// A key as a segment of a JSON Pointer (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
