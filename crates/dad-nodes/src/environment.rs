//! The environment of child processes: what is passed on, and what never is.

use dad_runner::NodeError;
use std::ffi::OsString;

/// Variables a child gets from the environment of this process; nothing else passes unless it is named.
const PASSED_VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SYSTEMROOT",
    "PATHEXT",
    "COMSPEC",
];

/// The part of this process's environment that programs get which the command line starts: no keys.
pub fn passed_environment() -> impl Iterator<Item = (&'static str, OsString)> {
    PASSED_VARIABLES
        .iter()
        .filter_map(|name| Some((*name, std::env::var_os(name)?)))
}

/// A variable of this process that is passed on.
pub(crate) fn passed(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|_| PASSED_VARIABLES.contains(&name))
}

/// The variable that may hold the user's origin key, with which runs are signed: no child of a run gets it.
pub(crate) const ORIGIN_KEY: &str = "DHENARA_ORIGIN_KEY";

/// Names of environment variables that end so hold secrets.
const SECRET_ENDINGS: &[&str] = &["_TOKEN", "_KEY", "_SECRET", "_PASSWORD", "_CREDENTIALS"];

/// Environment of a child: the passed variables, those named, then those given.
pub(crate) fn environment<'a>(
    inherit: impl Iterator<Item = &'a str>,
    given: impl Iterator<Item = (String, String)>,
) -> Vec<(String, OsString)> {
    let inherit = inherit.filter(|name| *name != ORIGIN_KEY);
    let names = PASSED_VARIABLES.iter().copied().chain(inherit);
    let passed = names.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)));
    let given = given.map(|(name, value)| (name, value.into()));
    passed.chain(given).collect()
}

/// Refuses variables whose values are no text: neither could a secret in them be masked, nor are they compared by a re-run.
pub(crate) fn check_texts<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), NodeError> {
    let is_other = |name: &&str| matches!(std::env::var(name), Err(std::env::VarError::NotUnicode(_)));
    let Some(name) = names.find(is_other) else {
        return Ok(());
    };
    let message = format!("the environment variable `{name}`, which `inherit_env` names, is no UTF-8 text");
    let hint = "set it to a text, or give the command the name of a file that holds the bytes";
    Err(NodeError::new("inherit_env", message).with_hint(hint).permanent())
}

/// The values of variables that are passed on by name and hold secrets by theirs.
pub(crate) fn inherited_secrets<'a>(inherit: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    let secret = inherit.filter(|name| is_secret(name));
    secret.filter_map(|name| std::env::var(name).ok())
}

/// Variables with their values.
pub(crate) fn values_of<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(String, Option<String>)> {
    let value = |name: &str| (name.to_owned(), std::env::var(name).ok());
    names.map(value).collect()
}

/// Whether a variable holds a secret, by its name.
pub(crate) fn is_secret(name: &str) -> bool {
    let upper = name.to_uppercase();
    SECRET_ENDINGS.iter().any(|ending| upper.ends_with(ending))
}
