//! Runs as archives: exported, imported, and refused.

use std::path::Path;

use tar::{Builder, EntryType, Header};

use crate::harness::TestEnvironment;

const FLOW: &str = r#"schema_version: 1
kind: flow
output: "$expr{ $hier{b}.outcome.results[0].stdout }"
elements:
  - { node: a, type: command, settings: { commands: [[echo, a]] } }
  - { node: b, type: command, requires_approval: true, settings: { commands: [[echo, b]] } }
"#;

const ID: &str = "run_20251123_141516_9f3a1c";

/// A place with a run that waits, and its archive.
fn exported() -> (TestEnvironment, String, String) {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    let archive = env.path("run.tar").to_string_lossy().into_owned();
    drop(env.run(&["runs", "export", "last", "--tar", &archive]).expect(0));
    let id = env.last_run().file_name().unwrap().to_string_lossy().into_owned();
    (env, archive, id)
}

#[test]
fn a_run_goes_to_another_place_and_is_not_trusted_there() {
    let (here, archive, id) = exported();
    let there = TestEnvironment::new();
    there.write("flow.yaml", FLOW);
    let imported = there.run(&["runs", "import", &archive]).expect(0);
    assert_eq!(imported.stdout, format!("{id}\n"));
    insta::assert_snapshot!(imported, @"
    run_00000000_000000_000001
    ---- stderr
    imported 16 files; it counts as another user's run, and `last` never means it
    look at it with `dhenara runs show run_00000000_000000_000001`
    ---- exit code 0
    ");
    let whole = there.unchanged(&["runs", "verify", &id]).expect(0);
    assert!(whole.stdout.contains("all as recorded"), "{whole}");
    // The key of the user is the one that signed it, and yet it came from elsewhere.
    insta::assert_snapshot!(there.run(&["runs", "list"]).expect(0), @"
    STATUS       RUN                         AGENT      MADE                     TOOK     STEPS
    waiting (1)  run_00000000_000000_000001  flow_root  0000-00-00 00:00:00 UTC  [time]  1 step
    ---- exit code 0
    ");
    insta::assert_snapshot!(there.run(&["runs", "show", "last"]), @"
    ---- stderr
    error[only_foreign_runs]: no such run is signed with your key; of the others the newest is `run_00000000_000000_000001`
      hint: name it by its id; `resume`, `answer` and `run step` also ask for `--trust`, because its `.run/definition.json` says what they execute
    ---- exit code 4
    ");
    let refused = there.run(&["answer", &id, "--approve"]).expect(4);
    assert!(refused.stderr.contains("error[foreign_run]"), "{refused}");
    // Its question is about another directory, so that it is asked again.
    drop(there.run(&["resume", &id, "--trust", "--no-input"]).expect(3));
    let own = there.run(&["answer", "last", "--approve"]).expect(0);
    assert_eq!(own.stdout, "b\n", "{own}");
    drop(there.run(&["runs", "show", "last"]).expect(0));

    let again = there.run(&["runs", "import", &archive]).expect(2);
    insta::assert_snapshot!(again, @"
    ---- stderr
    error[run_exists]: there is already a run `run_00000000_000000_000001`
      hint: `--run-root DIR` imports it into another directory
    ---- exit code 2
    ");
    let twice = here
        .unchanged(&["runs", "export", "last", "--tar", &archive])
        .expect(2);
    insta::assert_snapshot!(twice, @"
    ---- stderr
    error[archive]: `[root]/run.tar` cannot be made: there is a file of this name
      hint: name a file that does not exist, in a directory that does
    ---- exit code 2
    ");
}

#[test]
fn an_archive_passes_through_pipes_and_is_the_same_each_time() {
    let (here, archive, id) = exported();
    let first = std::fs::read(&archive).unwrap();
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let mut export = here.command(program, &here.project());
    let export = export
        .args(["runs", "export", &id, "--tar", "-"])
        .output()
        .unwrap();
    assert!(export.stdout == first, "{export:?}");
    let there = TestEnvironment::new();
    let mut import = there.command(program, &there.project());
    let file = std::fs::File::open(&archive).unwrap();
    let import = import
        .args(["runs", "import", "-", "--json"])
        .stdin(file)
        .output()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&import.stdout).unwrap();
    dad_tests::Schemas::get().validate("cli_runs_import", &document);
    assert_eq!(document["run_id"], id);
}

#[test]
fn messages_and_locks_are_not_brought() {
    let (here, _, id) = exported();
    let run = here.last_run();
    std::fs::create_dir_all(run.join(".run/inbox")).unwrap();
    std::fs::write(run.join(".run/inbox/approval_1.json"), "{}").unwrap();
    let archive = here.path("whole.tar");
    let mut whole = Builder::new(std::fs::File::create(&archive).unwrap());
    whole.append_dir_all(&id, &run).unwrap();
    whole.finish().unwrap();
    let there = TestEnvironment::new();
    drop(
        there
            .run(&["runs", "import", archive.to_str().unwrap()])
            .expect(0),
    );
    let dot_run = there.last_run().join(".run");
    assert!(dot_run.join("journal.jsonl").is_file());
    for name in ["inbox", "lease", "stage"] {
        assert!(!dot_run.join(name).exists(), "{name}");
    }
    std::fs::remove_dir_all(run.join(".run/inbox")).unwrap();
}

/// An entry of a hostile archive.
struct Entry {
    path: &'static str,
    kind: EntryType,
    link: &'static str,
    content: &'static [u8],
}

const fn file(path: &'static str) -> Entry {
    Entry {
        path,
        kind: EntryType::Regular,
        link: "",
        content: b"x",
    }
}

const fn other(path: &'static str, kind: EntryType, link: &'static str) -> Entry {
    Entry {
        path,
        kind,
        link,
        content: b"",
    }
}

/// An archive with paths as they are, which the library itself would refuse to write.
fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(entry.kind);
        header.set_size(entry.content.len() as u64);
        header.set_mode(0o644);
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        fields.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_cksum();
        tar.append(&header, entry.content).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn a_hostile_archive_is_refused_and_leaves_nothing() {
    let run = |path: &str| -> &'static str { Box::leak(format!("{ID}/{path}").into_boxed_str()) };
    let journal = || file(run(".run/journal.jsonl"));
    let entries: Vec<(&str, Vec<u8>)> = vec![
        ("absolute", archive(&[file("/tmp/dad-outside")])),
        ("above", archive(&[file(run("../../outside"))])),
        ("above at once", archive(&[file("../outside")])),
        ("backslash", archive(&[file(run("a\\..\\..\\outside"))])),
        ("drive", archive(&[file(run("C:outside"))])),
        (
            "through a link",
            archive(&[
                other(run("a"), EntryType::Symlink, "/tmp"),
                file(run("a/outside")),
            ]),
        ),
        (
            "hard link",
            archive(&[other(run("a"), EntryType::Link, "/etc/passwd")]),
        ),
        ("device", archive(&[other(run("a"), EntryType::Char, "")])),
        ("block device", archive(&[other(run("a"), EntryType::Block, "")])),
        ("pipe", archive(&[other(run("a"), EntryType::Fifo, "")])),
        ("sparse", archive(&[other(run("a"), EntryType::GNUSparse, "")])),
        ("twice", archive(&[journal(), journal()])),
        (
            "twice by case",
            archive(&[file(run("root/A")), file(run("root/a"))]),
        ),
        (
            "a file in the place of a directory",
            archive(&[file(run("a")), file(run("a/b"))]),
        ),
        ("no run", archive(&[file("elsewhere/a")])),
        (
            "two runs",
            archive(&[journal(), file("run_20251123_141516_000001/a")]),
        ),
        ("a file in the place of the run", archive(&[file(ID)])),
        ("no journal", archive(&[file(run("root/a"))])),
        ("a journal that is none", archive(&[journal()])),
        ("empty", archive(&[])),
        ("cut off", archive(&[journal()])[..520].to_vec()),
        ("no archive", b"neither tar nor anything else".repeat(100)),
        ("long name", {
            let long = "x".repeat(20_000);
            let mut tar = Builder::new(Vec::new());
            let mut header = Header::new_gnu();
            header.set_size(1);
            tar.append_data(&mut header, format!("{ID}/{long}"), &b"x"[..])
                .unwrap();
            tar.into_inner().unwrap()
        }),
        ("other length", {
            let extension = b"20 size=99999999999\n";
            let mut tar = Builder::new(Vec::new());
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            header.set_size(extension.len() as u64);
            header.set_cksum();
            tar.append(&header, &extension[..]).unwrap();
            tar.into_inner().unwrap()
        }),
    ];
    let env = TestEnvironment::new();
    drop(env.run(&["runs", "list"]).expect(0));
    let file = env.path("hostile.tar");
    std::fs::create_dir_all(env.project().join("runs/.trash")).unwrap();
    let mut refused = Vec::new();
    for (what, bytes) in entries {
        std::fs::write(&file, bytes).unwrap();
        let output = env.unchanged(&["runs", "import", file.to_str().unwrap()]);
        assert_eq!(output.code, Some(2), "{what}: {output}");
        let line = output.stderr.lines().next().unwrap_or_default();
        let line = env.shown(line);
        refused.push(format!("{what}: {line}"));
    }
    assert!(!Path::new("/tmp/dad-outside").exists());
    insta::assert_snapshot!(refused.join("\n"), @r"
    absolute: error[archive]: the archive: `/tmp/dad-outside` is no path inside a run
    above: error[archive]: the archive: `run_20251123_141516_9f3a1c/../../outside` is no path inside a run
    above at once: error[archive]: the archive: `../outside` is no path inside a run
    backslash: error[archive]: the archive: `run_20251123_141516_9f3a1c/a\..\..\outside` is no path inside a run
    drive: error[archive]: the archive: `run_20251123_141516_9f3a1c/C:outside` is no path inside a run
    through a link: error[archive]: the archive: `run_20251123_141516_9f3a1c/a` is no regular file and no directory
    hard link: error[archive]: the archive: `run_20251123_141516_9f3a1c/a` is no regular file and no directory
    device: error[archive]: the archive: `run_20251123_141516_9f3a1c/a` is no regular file and no directory
    block device: error[archive]: the archive: `run_20251123_141516_9f3a1c/a` is no regular file and no directory
    pipe: error[archive]: the archive: `run_20251123_141516_9f3a1c/a` is no regular file and no directory
    sparse: error[archive]: the archive: `run_20251123_141516_9f3a1c/a` is no regular file and no directory
    twice: error[archive]: the archive: `.run/journal.jsonl` stands in it twice
    twice by case: error[archive]: the archive: `root/a` stands in it twice
    a file in the place of a directory: error[archive]: the archive: `a` stands in it as a file and as a directory
    no run: error[archive]: the archive: it holds no run with a journal
    two runs: error[archive]: the archive: it holds more than one run
    a file in the place of the run: error[archive]: the archive: it has a file in the place of the run
    no journal: error[archive]: the archive: it holds no run with a journal
    a journal that is none: error[archive]: the archive: `run_20251123_141516_9f3a1c/.run` cannot be read: its journal has no first record yet
    empty: error[archive]: the archive: it is empty
    cut off: error[archive]: the archive: it ends too early, or is no archive that `runs export` wrote
    no archive: error[archive]: the archive: it ends too early, or is no archive that `runs export` wrote
    long name: error[archive]: the archive: a part of it is longer than 16384 bytes
    other length: error[archive]: the archive: an entry has the extension `size`
    ");
}
