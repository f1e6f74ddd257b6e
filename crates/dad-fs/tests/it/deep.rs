//! Trees that are deeper than a stack, or than files may be open.

use dad_fs::{Descent, Dir, Durability, EntryKind};

const LEVELS: usize = 20_000;

/// Does something on a thread with a small stack.
fn on_a_small_stack(work: impl FnOnce() + Send) {
    const STACK: usize = 256 * 1024;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap();
    });
}

/// Directories in each other, with a file in the last.
fn make_deep(dir: &Dir, levels: usize) {
    let mut dir = dir.clone();
    for _ in 0..levels {
        dir = dir.create_dir("d").unwrap();
    }
    dir.write_new("end", b"four", Durability::Process).unwrap();
}

#[test]
fn a_tree_of_any_depth_is_measured_synced_and_removed() {
    let place = tempfile::tempdir().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    on_a_small_stack(|| {
        make_deep(&dir.create_dir("tree").unwrap(), LEVELS);
        assert_eq!(dir.size().unwrap(), 4);
        let mut levels = 0;
        let mut descent = Descent::into_dir(dir.clone(), ());
        while let Some((dir, ())) = descent.next_dir().unwrap() {
            levels += 1;
            for (name, kind) in dir.names().unwrap() {
                if kind == EntryKind::Dir {
                    descent.add(&dir, name, ());
                }
            }
        }
        assert_eq!(levels, LEVELS + 2);
        dir.remove_dir_all("tree").unwrap();
        assert_eq!(dir.kind("tree").unwrap(), None);
        // A disk takes its time for each.
        make_deep(&dir.create_dir("tree").unwrap(), 2_000);
        dir.sync_tree().unwrap();
        dir.remove_dir_all("tree").unwrap();
    });
}

#[test]
fn a_tree_is_removed_with_everything_in_it_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    dir.create_dir_all("outside/kept").unwrap();
    dir.write_new("outside/kept/file", b"", Durability::Process)
        .unwrap();
    for path in [
        "tree/a/b/c",
        "tree/a/b/d",
        "tree/.removed-1/x/y",
        "tree/empty",
        "tree/.removed-2",
    ] {
        dir.create_dir_all(path).unwrap();
    }
    for file in [
        "tree/a/b/c/f",
        "tree/a/f",
        "tree/f",
        "tree/.removed-1/x/f",
        "tree/.removed-3",
    ] {
        dir.write_new(file, b"x", Durability::Process).unwrap();
    }
    #[cfg(unix)]
    for link in ["tree/link", "tree/a/b/link"] {
        std::os::unix::fs::symlink(place.path().join("outside"), place.path().join(link)).unwrap();
    }
    dir.remove_dir_all("tree").unwrap();
    assert_eq!(dir.kind("tree").unwrap(), None);
    assert_eq!(dir.kind("outside/kept/file").unwrap(), Some(EntryKind::File));
    dir.remove_dir_all("outside/kept").unwrap();
    assert!(dir.remove_dir_all("outside/kept").unwrap_err().is_not_found());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.path().join("outside"), place.path().join("link")).unwrap();
        dir.remove_dir_all("link").unwrap();
        assert_eq!(dir.kind("outside").unwrap(), Some(EntryKind::Dir));
    }
}
