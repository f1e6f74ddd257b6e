//! The variable parts of error messages.

use std::path::Path;

use crate::origin::Origin;

pub(super) fn last_driven(host: Option<&str>, dir: Option<&Path>) -> String {
    match (host, dir) {
        (Some(host), Some(dir)) => format!("on `{host}` in `{}`", dir.display()),
        (Some(host), None) => format!("on `{host}`"),
        (None, _) => "by an unknown process".to_owned(),
    }
}

/// The number of runs before the newest that `last` or `last~N` skips.
pub(crate) fn back_from_last(selector: &str) -> Option<usize> {
    match selector.strip_prefix("last")? {
        "" => Some(0),
        back => back.strip_prefix('~')?.parse().ok(),
    }
}

pub(super) fn no_run(selector: &str) -> String {
    match selector {
        "last" => "there is no previous run of this component".to_owned(),
        "" => "the name of a run is empty".to_owned(),
        back if back.starts_with("last~") => match back_from_last(back) {
            Some(_) => format!("there is no run `{back}`: there are not so many"),
            None => format!("there is no run `{back}`: behind `last~` stands a number"),
        },
        other => format!("there is no run `{other}`"),
    }
}

pub(super) fn why_foreign(origin: Origin) -> &'static str {
    match origin {
        Origin::Mine => "is yours",
        Origin::Foreign => "is not signed with your key, or was changed since",
        Origin::Unsigned => "is not signed, so that it may be of any user",
        Origin::Unchecked => "is signed, and there is no key here to check that with",
    }
}

pub(super) fn hint_nearest(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

pub(super) fn no_such_question(run: &str, which: &str, is_there: bool) -> String {
    if is_there {
        format!("`{which}` of `{run}` asks nothing")
    } else {
        format!("`{which}` names no question of `{run}`, and no step or component that asks")
    }
}
