//! The limit of open files of this process.

use dad_run::Descriptors;

/// The limit that this process raises itself to, at most: a program that a step starts has this limit too, and some walk through all numbers below it.
#[cfg(unix)]
const ENOUGH: u64 = 8192;

/// The descriptors of this process, with its limit raised as far as the system lets it: many systems begin with 1024 or 256, for
/// programs that can handle no more.
pub(crate) fn descriptors() -> Descriptors {
    #[cfg(unix)]
    raise_limit();
    Descriptors::of_process()
}

#[cfg(unix)]
fn raise_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|now| now < most) {
        limit.current = Some(most);
        // Steps work within a lower limit as well, one after the other.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
