//! Containment, atomic publication and fault injection, seen from outside.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]

mod deep;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use dad_fs::{Attributes, Change, Dir, Durability, EntryKind, Fault, FaultInjector, Gate, Operation, Share};

fn temp() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap();
    (temp, dir)
}

#[test]
fn no_name_leads_outside() {
    let (temp, dir) = temp();
    let inner = dir.create_dir("inner").unwrap();
    dir.write_new("secret", b"x", Durability::Process).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(temp.path(), temp.path().join("inner/up")).unwrap();
        std::os::unix::fs::symlink("/etc", temp.path().join("inner/etc")).unwrap();
        assert!(inner.read("up/secret").is_err());
        assert!(inner.read("etc/passwd").is_err());
        assert!(inner.write_new("up/new", b"x", Durability::Process).is_err());
    }
    assert!(inner.read("../secret").is_err());
    assert!(inner.read(temp.path().join("secret")).is_err());
    assert!(inner.replace("../new", b"x", Durability::Process).is_err());
    assert!(inner.create_dir_all("../new").is_err());
    assert!(
        inner
            .rename("etc", &inner, "../new", Durability::Process)
            .is_err()
    );
    assert!(!temp.path().join("new").exists());
}

#[test]
fn the_error_names_operation_and_path() {
    let (temp, dir) = temp();
    let error = dir.read("missing").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read `{}`", temp.path().join("missing").display())
    );
    assert!(error.is_not_found());
}

#[test]
fn of_several_publishers_one_succeeds() {
    let (_temp, dir) = temp();
    for round in 0..50 {
        let barrier = Arc::new(Barrier::new(4));
        let wins: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|n| {
                    let (dir, barrier) = (dir.clone(), Arc::clone(&barrier));
                    scope.spawn(move || {
                        barrier.wait();
                        let text = format!("answer of {n}");
                        dir.publish(format!("answer_{round}"), text.as_bytes(), Durability::Process)
                            .unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|t| usize::from(t.join().unwrap())).sum()
        });
        assert_eq!(wins, 1);
    }
    assert_eq!(dir.entries().unwrap().len(), 50, "no temporary file is left");
}

#[test]
fn a_lock_is_seen_and_released() {
    let (_temp, dir) = temp();
    assert!(!dir.is_locked("lease").unwrap());
    let lock = dir.lock("lease").unwrap().expect("the lock is free");
    assert!(dir.is_locked("lease").unwrap());
    assert!(dir.lock("lease").unwrap().is_none());
    drop(lock);
    assert!(!dir.is_locked("lease").unwrap());
}

struct FailAt(u64, Arc<AtomicU64>);

impl FaultInjector for FailAt {
    fn before(&self, operation: &Operation<'_>) -> Result<(), Fault> {
        self.1.store(operation.number + 1, Ordering::Relaxed);
        if operation.number == self.0 {
            Err(full().into())
        } else {
            Ok(())
        }
    }
}

#[test]
fn a_failed_replacement_leaves_the_old_content() {
    let (temp, dir) = temp();
    dir.write_new("file", b"old", Durability::Process).unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    for number in 0.. {
        let gate = Gate::with_faults(FailAt(number, Arc::clone(&seen)));
        let faulty = Dir::open_with(temp.path(), gate).unwrap();
        match faulty.replace("file", b"new", Durability::Disk) {
            Ok(()) => break,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
        }
        let content = dir.read("file").unwrap();
        assert!(content == b"old" || content == b"new", "{content:?}");
    }
    assert_eq!(dir.read("file").unwrap(), b"new");
    assert_eq!(
        seen.load(Ordering::Relaxed),
        4,
        "write, sync, rename, sync of the directory"
    );
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

/// Writes half of the bytes of every operation that writes, and refuses to cut where that is asked for.
struct Halve {
    refuses_to_cut: bool,
}

impl FaultInjector for Halve {
    fn before(&self, operation: &Operation<'_>) -> Result<(), Fault> {
        match operation.change {
            Change::Write(bytes) | Change::Append(bytes) => Err(Fault::Short {
                bytes: bytes.len() / 2,
                end: full,
            }),
            Change::Truncate(_) if self.refuses_to_cut => Err(full().into()),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_write_that_stops_in_the_middle_leaves_nothing() {
    let (temp, dir) = temp();
    dir.write_new("old", b"before\n", Durability::Process).unwrap();
    let halve = Halve {
        refuses_to_cut: false,
    };
    let halving = Dir::open_with(temp.path(), Gate::with_faults(halve)).unwrap();
    let durability = Durability::Process;
    assert!(halving.write_new("new", b"content", durability).is_err());
    assert!(halving.replace("old", b"after", durability).is_err());
    assert!(halving.publish("published", b"content", durability).is_err());
    let mut lines = halving.append("old").unwrap();
    for _ in 0..2 {
        let error = lines.append(b"line\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
    assert_eq!(dir.read("old").unwrap(), b"before\n");
    let left = std::fs::read_dir(temp.path()).unwrap().count();
    assert_eq!(left, 1, "neither a new nor a temporary file");
}

#[test]
fn nothing_follows_a_torn_line_that_cannot_be_cut_away() {
    let (temp, dir) = temp();
    let halve = Halve { refuses_to_cut: true };
    let halving = Dir::open_with(temp.path(), Gate::with_faults(halve)).unwrap();
    let mut lines = halving.append("lines").unwrap();
    assert_eq!(
        lines.append(b"line").unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    let error = lines.append(b"next").unwrap_err();
    assert!(
        error.source.to_string().contains("part of its bytes"),
        "{}",
        error.source
    );
    assert_eq!(dir.read("lines").unwrap(), b"li");
}

/// Refuses to sync files.
struct NoSync;

impl FaultInjector for NoSync {
    fn before(&self, operation: &Operation<'_>) -> Result<(), Fault> {
        match operation.change {
            Change::SyncFile => Err(io::Error::other("the disk is gone").into()),
            _ => Ok(()),
        }
    }
}

#[test]
fn nothing_follows_what_could_not_be_synced() {
    let (temp, dir) = temp();
    let faulty = Dir::open_with(temp.path(), Gate::with_faults(NoSync)).unwrap();
    let mut lines = faulty.append("lines").unwrap();
    lines.append(b"line\n").unwrap();
    assert!(lines.sync().is_err());
    assert!(lines.append(b"next\n").is_err());
    assert!(lines.sync().is_err(), "a second attempt would have saved nothing");
    assert_eq!(dir.read("lines").unwrap(), b"line\n");
}

#[test]
fn a_torn_last_line_is_cut_away_before_more_is_appended() {
    let (_guard, dir) = temp();
    let long = "x".repeat(100_000);
    for (left, kept) in [
        ("", ""),
        ("one\n", "one\n"),
        ("one\ntwo", "one\n"),
        ("torn", ""),
        (&*format!("one\n{long}"), "one\n"),
    ] {
        dir.replace("lines", left.as_bytes(), Durability::Process)
            .unwrap();
        dir.append_lines("lines").unwrap().append(b"next\n").unwrap();
        assert_eq!(dir.read("lines").unwrap(), format!("{kept}next\n").as_bytes());
    }
}

#[test]
fn temporaries_of_a_dead_process_are_removed() {
    let (guard, dir) = temp();
    dir.replace("kept", b"x", Durability::Process).unwrap();
    #[expect(clippy::disallowed_methods, reason = "what a process that died left behind")]
    std::fs::write(guard.path().join(".tmp-1-1"), "half").unwrap();
    dir.remove_temporaries().unwrap();
    let names: Vec<String> = dir
        .entries()
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, ["kept"]);
}

#[test]
fn a_directory_is_locked_by_whatever_path_it_is_opened() {
    let (temp, dir) = temp();
    let lock = dir.lock_directory().unwrap().unwrap();
    let again = Dir::open(temp.path().join(".")).unwrap();
    if cfg!(unix) {
        assert!(again.lock_directory().unwrap().is_none());
    }
    drop(lock);
    assert!(again.lock_directory().unwrap().is_some());
    assert!(dir.names().unwrap().is_empty(), "nothing is made for it");
}

#[cfg(unix)]
#[test]
fn neither_links_nor_pipes_are_read_as_files() {
    let (temp, dir) = temp();
    dir.write_new("file", b"12345", Durability::Process).unwrap();
    dir.create_dir_only("dir").unwrap();
    for (target, name) in [("file", "to_file"), ("dir", "to_dir")] {
        std::os::unix::fs::symlink(target, temp.path().join(name)).unwrap();
    }
    let made = std::process::Command::new("mkfifo")
        .arg(temp.path().join("pipe"))
        .status();
    assert!(made.unwrap().success());
    assert_eq!(dir.read_regular("file", 5).unwrap().0, b"12345");
    for name in ["to_file", "pipe", "dir", "dir/../file", "missing"] {
        assert!(dir.read_regular(name, 5).is_err(), "{name}");
    }
    let too_long = dir.read_regular("file", 4).unwrap_err();
    assert_eq!(too_long.kind(), io::ErrorKind::FileTooLarge);
    assert!(dir.open_dir_nofollow("dir").is_ok() && dir.open_dir_nofollow("to_dir").is_err());
}

#[cfg(unix)]
#[test]
fn a_file_is_replaced_through_a_temporary_file_of_the_caller() {
    let (_temp, dir) = temp();
    let temporary = dad_fs::temporary_name("mine");
    let modified = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_577_836_800);
    for (content, mode) in [(b"one", 0o640), (b"two", 0o400), (b"six", 0o755)] {
        let wanted = {
            let mut attributes = Attributes::default();
            attributes.mode = Some(mode);
            attributes.modified = Some(modified);
            attributes
        };
        let not_kept = dir
            .replace_via_temporary("file", &temporary, content, &wanted, Durability::Disk)
            .unwrap();
        let (bytes, attributes) = dir.read_regular("file", 10).unwrap();
        assert_eq!(not_kept, Vec::<String>::new());
        assert_eq!(
            (bytes, attributes.mode, attributes.modified),
            (content.to_vec(), Some(mode), Some(modified))
        );
    }
    dir.set_mode("file", 0o600, Durability::Disk).unwrap();
    let (_, attributes) = dir.read_regular("file", 10).unwrap();
    assert_eq!(
        (attributes.mode, attributes.modified),
        (Some(0o600), Some(modified))
    );
    assert_eq!(dir.names().unwrap().len(), 1);
    let none = Attributes::default();
    assert!(
        dir.replace_via_temporary("../file", &temporary, b"x", &none, Durability::Process)
            .is_err()
    );
}

#[cfg(unix)]
#[test]
fn a_new_file_can_be_executed_by_those_who_may_read_it() {
    let (_temp, dir) = temp();
    let temporary = dad_fs::temporary_name("mine");
    let wanted = {
        let mut attributes = Attributes::default();
        attributes.executable = true;
        attributes
    };
    let private = dir.clone().shared_with(Share::User);
    for (dir, name, mode) in [(&private, "mine", 0o700), (&dir, "all", 0o755)] {
        dir.replace_via_temporary(name, &temporary, b"x", &wanted, Durability::Process)
            .unwrap();
        let (_, attributes) = dir.read_regular(name, 10).unwrap();
        assert_eq!(attributes.mode, Some(mode), "with the umask of the process, 022");
    }
}

#[cfg(unix)]
#[test]
fn attributes_go_with_what_is_written_anew() {
    let (temp, dir) = temp();
    dir.write_new("file", b"x", Durability::Process).unwrap();
    let file = std::fs::File::open(temp.path().join("file")).unwrap();
    let has_extended =
        rustix::fs::fsetxattr(&file, "user.origin", b"here", rustix::fs::XattrFlags::empty()).is_ok();
    let other_owner = rustix::process::geteuid().is_root();
    if other_owner {
        std::os::unix::fs::chown(temp.path().join("file"), Some(65534), Some(65533)).unwrap();
    }
    let (_, had) = dir.read_regular("file", 10).unwrap();
    let temporary = dad_fs::temporary_name("mine");
    let not_kept = dir
        .replace_via_temporary("file", &temporary, b"y", &had, Durability::Process)
        .unwrap();
    let (bytes, has) = dir.read_regular("file", 10).unwrap();
    assert_eq!((bytes, &has, not_kept), (b"y".to_vec(), &had, Vec::new()));
    assert_eq!(has.extended.contains_key("user.origin"), has_extended);
    assert_eq!(has.owner == Some((65534, 65533)), other_owner);

    let inner = dir.create_dir("inner").unwrap();
    let wanted = {
        let mut attributes = inner.attributes().unwrap();
        attributes.mode = Some(0o2500);
        attributes
    };
    inner.give_attributes(&wanted, Durability::Disk).unwrap();
    assert_eq!(inner.attributes().unwrap().mode, Some(0o2500));
}

#[cfg(unix)]
#[test]
fn a_file_gets_no_access_list_of_its_directory() {
    use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
    let (temp, dir) = temp();
    dir.write_new("file", b"x", Durability::Process).unwrap();
    dir.set_mode("file", 0o640, Durability::Process).unwrap();
    let (_, had) = dir.read_regular("file", 10).unwrap();
    // Version 2: owner rw-, user 65534 rwx, group ---, mask rwx, others ---.
    let mut list = vec![2, 0, 0, 0];
    let entries: [(u16, u16, u32); 5] = [
        (1, 6, u32::MAX),
        (2, 7, 65534),
        (4, 0, u32::MAX),
        (16, 7, u32::MAX),
        (32, 0, u32::MAX),
    ];
    for (tag, rights, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(rights.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let opened = std::fs::File::open(temp.path()).unwrap();
    if fsetxattr(&opened, "system.posix_acl_default", &list, XattrFlags::empty()).is_err() {
        return;
    }
    let temporary = dad_fs::temporary_name("mine");
    dir.replace_via_temporary("file", &temporary, b"y", &had, Durability::Process)
        .unwrap();
    let file = std::fs::File::open(temp.path().join("file")).unwrap();
    let mut value = [0; 100];
    assert!(fgetxattr(&file, "system.posix_acl_access", &mut value).is_err());
    assert_eq!(dir.read_regular("file", 10).unwrap().1.mode, Some(0o640));
}

#[cfg(unix)]
#[test]
fn a_link_is_made_with_its_text_and_never_over_another_entry() {
    let (_temp, dir) = temp();
    dir.make_link("link", "../out/side").unwrap();
    assert_eq!(dir.kind("link").unwrap(), Some(EntryKind::Symlink));
    assert_eq!(
        dir.link_target("link").unwrap(),
        std::path::Path::new("../out/side")
    );
    assert!(dir.make_link("link", "x").is_err() && dir.make_link("a/b", "x").is_err());
    assert!(dir.set_mode("link", 0o600, Durability::Process).is_err());
}
