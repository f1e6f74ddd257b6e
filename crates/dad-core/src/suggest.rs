//! The nearest of several names, for error messages.

/// The candidate most like `wanted`, if one is near enough to be a likely slip of the keyboard.
///
/// ```
/// assert_eq!(dad_core::nearest("promt", ["prompt", "models"]), Some("prompt"));
/// assert_eq!(dad_core::nearest("zebra", ["prompt", "models"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wanted.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        // 0.8 lets one or two slips in a short word pass and keeps unrelated words out.
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
