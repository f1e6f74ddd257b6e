//! The command line.

use std::fmt;

/// The options of a measurement.
#[derive(Debug)]
pub(crate) struct Options {
    /// Numbers of steps.
    pub(crate) sizes: Vec<usize>,
    /// The number of measurements of each.
    pub(crate) rounds: usize,
    /// The places of the runs.
    pub(crate) places: Vec<Place>,
    /// Whether to print JSON.
    pub(crate) json: bool,
}

/// A file system.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// In memory: what remains is the cost of the program and of the system calls.
    Memory,
    /// On the disk of the target directory.
    Disk,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        })
    }
}

impl Options {
    pub(crate) fn parse(args: &[&str]) -> Result<Self, String> {
        let places = vec![Place::Memory, Place::Disk];
        let mut options = Self {
            sizes: vec![100, 1_000, 10_000],
            rounds: 5,
            places,
            json: false,
        };
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            if *option == "--json" {
                options.json = true;
                continue;
            }
            let value = rest
                .next()
                .ok_or_else(|| format!("`{option}` is unknown or has no value"))?;
            match *option {
                "--sizes" => options.sizes = value.split(',').map(number).collect::<Result<_, _>>()?,
                "--rounds" => options.rounds = number(value)?,
                "--at" => options.places = vec![place(value)?],
                _ => return Err(format!("unknown option `{option}`")),
            }
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is not a number above 0")),
    }
}

fn place(text: &str) -> Result<Place, String> {
    match text {
        "memory" => Ok(Place::Memory),
        "disk" => Ok(Place::Disk),
        _ => Err(format!("`{text}` is neither memory nor disk")),
    }
}
