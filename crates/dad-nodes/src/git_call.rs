//! The options and environment variables of a call of git.

use std::ffi::OsString;

use crate::environment::ORIGIN_KEY;

/// The options of every call of git: nothing that lies in the tree is executed, be it a hook or a monitor of files, and no
/// directory is taken for a repository because its files look like one. Paths are literal: a name with a star means the
/// file of that name. That a line end would be another after a checkout is the user's to know, and no reason to stop half-way.
pub(crate) const ALWAYS: [&str; 9] = [
    "--literal-pathspecs",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "safe.bareRepository=explicit",
    "-c",
    "core.safecrlf=warn",
];

/// Which of the variables that git reads a call gets from the user's environment: who commits, and the files of settings.
/// Others, such as `GIT_DIR`, would make git work on another repository than the one asked for.
const PASSED_ON: [&str; 9] = [
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
];

/// Gives a call of git the variables that it may have. What git prints is read, so that it is in English; it asks nothing and
/// locks nothing that it need not.
pub(crate) fn set_environment(command: &mut std::process::Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("GIT_") && !PASSED_ON.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command.env_remove(ORIGIN_KEY).env_remove("LANGUAGE").envs([
        ("LC_ALL", "C"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_OPTIONAL_LOCKS", "0"),
    ]);
}

/// The variables of the user's environment that say who commits and where the settings are.
pub(crate) fn passed_on() -> impl Iterator<Item = (String, OsString)> {
    let given = PASSED_ON.iter();
    given.filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?)))
}
