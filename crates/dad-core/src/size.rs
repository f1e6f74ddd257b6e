//! Sizes in bytes as people write them: `500MB`, `1.5 GiB`.

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size; write a number with a unit: 500MB, 1.5GB, 200KiB")]
#[non_exhaustive]
pub struct ParseSizeError(pub String);

const UNITS: &[(&str, u64)] = &[
    ("b", 1),
    ("kb", 1000),
    ("mb", 1000 * 1000),
    ("gb", 1000 * 1000 * 1000),
    ("tb", 1000 * 1000 * 1000 * 1000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Parses a size in bytes: `500MB`, `1.5 GB`, `200KiB`, `0B`. A number without a unit is refused, because its unit
/// would be a guess.
///
/// # Errors
/// [`ParseSizeError`] for everything else, negative and unrepresentable numbers included.
///
/// ```
/// assert_eq!(dad_core::parse_size("1.5GB")?, 1_500_000_000);
/// assert_eq!(dad_core::parse_size("2 KiB")?, 2048);
/// assert!(dad_core::parse_size("500").is_err());
/// # Ok::<(), dad_core::ParseSizeError>(())
/// ```
pub fn parse_size(text: &str) -> Result<u64, ParseSizeError> {
    let refused = || ParseSizeError(text.to_owned());
    let trimmed = text.trim();
    let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = trimmed[digits.len()..].to_ascii_lowercase();
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
    let number: f64 = digits.trim().parse().map_err(|_| refused())?;
    let bytes = number * *factor as f64;
    // Beyond 2^53 a float no longer counts single bytes, and no disk is that large.
    if (0.0..9e15).contains(&bytes) {
        Ok(bytes.round() as u64)
    } else {
        Err(refused())
    }
}

/// A size as a person reads it: `812 B`, `1.4 KB`, `23.0 MB`, in powers of 1000.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let mut value = bytes as f64;
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    for unit in ["KB", "MB", "GB"] {
        value /= 1000.0;
        // What would be rounded to 1000.0 belongs to the next unit.
        if value < 999.95 {
            return format!("{value:.1} {unit}");
        }
    }
    format!("{:.1} TB", value / 1000.0)
}

/// A number of things, in words: `1 step`, `2 steps`.
#[must_use]
pub fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let read = ["0B", "1KB", "1kb", "1 KiB", "2.5MB", "1TiB"].map(|text| parse_size(text).unwrap());
        assert_eq!(read, [0, 1000, 1000, 1024, 2_500_000, 1 << 40]);
        for bad in [
            "", "MB", "5", "-1MB", "1XB", "NaN MB", "inf MB", "1e30GB", "1 M B", "ü",
        ] {
            assert_eq!(parse_size(bad), Err(ParseSizeError(bad.to_owned())));
        }
        let written = [0, 999, 1000, 999_949, 999_951, 5_000_000_000_000_000].map(format_size);
        assert_eq!(
            written,
            ["0 B", "999 B", "1.0 KB", "999.9 KB", "1.0 MB", "5000.0 TB"]
        );
    }
}
