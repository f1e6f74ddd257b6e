//! A process that has no descriptor left. It is a binary of its own, because nothing else in the process could open a file either.

#![cfg(unix)]

use std::fs::File;
use std::time::{Duration, Instant};

use dad_fs::{Dir, Durability};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Takes all descriptors that this process may still have.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn a_file_that_cannot_be_opened_for_want_of_descriptors_is_tried_again() {
    let place = tempfile::tempdir().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    dir.write_new("there", b"before", Durability::Process).unwrap();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();

    // Another thread closes files before long.
    let taken = take_all();
    let closing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(taken);
    });
    dir.write_new("new", b"content", Durability::Process).unwrap();
    assert_eq!(dir.read("new").unwrap(), b"content");
    closing.join().unwrap();

    // None does.
    let taken = take_all();
    let since = Instant::now();
    let refused = dir.read("there").unwrap_err();
    assert!(refused.is_out_of_descriptors(), "{refused:?}");
    assert!(since.elapsed() >= Duration::from_secs(9));
    drop(taken);
    assert_eq!(dir.read("there").unwrap(), b"before");
}
