//! Durations as people write them: `1.5s`, `20m`, or seconds as a number.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write a number of seconds or a number with a unit: 500ms, 30s, 5m, 2h, 1d")]
#[non_exhaustive]
pub struct ParseDurationError(pub String);

const UNITS: &[(&str, f64)] = &[
    ("ms", 0.001),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];

/// Parses a duration of a definition or option: `500ms`, `30s`, `1.5m`, `2h`, `1d`, or a bare number of seconds.
///
/// # Errors
/// [`ParseDurationError`] for everything else, negative and unrepresentable numbers included.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(dad_core::parse_duration("1.5m")?, Duration::from_secs(90));
/// assert_eq!(dad_core::parse_duration("20")?, Duration::from_secs(20));
/// assert!(dad_core::parse_duration("soon").is_err());
/// # Ok::<(), dad_core::ParseDurationError>(())
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let refused = || ParseDurationError(text.to_owned());
    let trimmed = text.trim();
    let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &trimmed[digits.len()..];
    let factor = match unit {
        "" => 1.0,
        unit => {
            UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(refused)?
                .1
        }
    };
    let number: f64 = digits.trim().parse().map_err(|_| refused())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| refused())
}

/// A duration as a person reads it: `850 ms`, `12.3 s`, `4m 05s`, `2h 03m`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}
