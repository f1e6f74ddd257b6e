//! The command line.

/// The options of a measurement.
#[derive(Debug)]
pub(crate) struct Options {
    /// The number of measurements of each.
    pub(crate) rounds: usize,
    /// Whether to print JSON.
    pub(crate) json: bool,
}

impl Options {
    pub(crate) fn parse(args: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            rounds: 5,
            json: false,
        };
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            match *option {
                "--json" => options.json = true,
                "--rounds" => options.rounds = number(rest.next().copied().unwrap_or_default())?,
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
