//! Shapes and what they have in common.

use std::fmt::{self, Display};

// A plain comment.
/// How round things are measured.
pub const PI: f64 = 3.14; // not exactly

/// A circle.
#[derive(Clone, Debug)]
pub struct Circle {
    /// From the middle to the rim.
    pub radius: f64,
    name: String,
}

pub struct Pair(pub u32, u32);

#[derive(Clone, Copy)]
pub enum Kind {
    Round,
    Square { side: u32 },
}

/// What has an area.
pub trait Area {
    type Unit;
    /// The area.
    fn area(&self) -> f64;
}

impl Area for Circle {
    type Unit = f64;

    fn area(&self) -> f64 {
        // Twice the radius, /* and so on */ "quoted".
        let square = self.radius * self.radius;

        square * PI
    }
}

impl<T> From<T> for Pair
where
    T: Into<u32>,
{
    fn from(value: T) -> Self {
        fn inner(number: u32) -> Pair {
            Pair(number, number)
        }
        inner(value.into())
    }
}

/* A block
   of comment. */
pub async fn long_signature(
    first: &str,
    second: Option<Vec<String>>,
) -> Result<(), fmt::Error> {
    let text = "// no comment

    in a string";
    drop((first, second, text));
    Ok(())
}

macro_rules! shape {
    ($name:ident) => {};
}

mod inner {
    pub(super) fn hidden() {}
}
