//! The costs of the folder analyzer, compared with a plain walk that reads the same bytes.
//!
//! Both walk the same tree by the same rules of the `ignore` crate, in one process and in turns, so that a machine that is
//! busy with something else slows both. The plain walk reads each file whole and keeps nothing. The last row is a whole
//! step of a run: its fingerprint asks for sizes and times of all files first, and its result is written to disk.
//!
//! Started by `cargo xtask bench analyzer`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement is printed"
)]

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use dhenara::nodes::{FolderAnalyzerSettings, analyze_folders};
use dhenara::runner::Stop;
use dhenara::{FlowBuilder, FlowRunner, RunContext, builtin_nodes};
use ignore::WalkBuilder;
use serde_json::{Value, json};
use xtask::bench;

/// Any failure ends the measurement.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// Files in a directory.
const IN_A_DIRECTORY: usize = 25;

/// Directories in a directory.
const DIRECTORIES: usize = 10;

struct Options {
    files: usize,
    rounds: usize,
}

/// A row of the report.
struct Row {
    name: &'static str,
    /// The settings of the one operation.
    operation: Value,
    /// Whether the plain walk reads the files too.
    reads: bool,
    is_step: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match options(&args).and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(args: &[String]) -> Outcome<Options> {
    let mut options = Options {
        files: 50_000,
        rounds: 5,
    };
    bench::options(args, |name, value| {
        match name {
            "--files" => options.files = bench::count(value)?,
            "--rounds" => options.rounds = bench::count(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(options)
}

fn measure(options: &Options) -> Outcome<()> {
    let place = tempfile::tempdir()?;
    let base = place.path().join("tree");
    eprintln!("making {} files", options.files);
    make_tree(&base, options.files)?;
    let (found, bytes) = plain(&base, true)?;
    println!("{found} files, {:.1} MiB, {} rounds", mib(bytes), options.rounds);
    println!("what is asked for                 analyzer      plain   ratio   memory above what was there");
    for row in rows() {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        let mut above = None;
        for _ in 0..options.rounds {
            let before = resident_after_reset();
            let (time, seen) = analyzer(&base, place.path(), &row)?;
            ours.push(time);
            above = above.max(
                peak_kib()
                    .zip(before)
                    .map(|(peak, before)| peak.saturating_sub(before)),
            );
            if seen != found {
                return Err(format!("the analyzer found {seen} files and the plain walk {found}").into());
            }
            let start = Instant::now();
            black_box(plain(&base, row.reads)?);
            theirs.push(start.elapsed());
        }
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        let memory = above.map_or("n/a".to_owned(), |kib| format!("{:.1} MiB", mib(kib * 1024)));
        println!(
            "{:<30} {:>8.0} ms {:>8.0} ms {:>6.2}x {memory:>12}",
            row.name,
            ours * 1e3,
            theirs * 1e3,
            ours / theirs
        );
    }
    Ok(())
}

fn rows() -> Vec<Row> {
    let row = |name, reads, is_step, operation| Row {
        name,
        operation,
        reads,
        is_step,
    };
    let words = json!({ "operation_type": "analyze_folder", "include_primary_meta": true });
    let full = json!({ "operation_type": "analyze_folder", "content_read_mode": "full" });
    let preview = json!({
        "operation_type": "analyze_folder", "content_read_mode": "full", "include_primary_meta": true,
        "max_words_per_file": 10,
    });
    let names = json!({ "operation_type": "find_files" });
    vec![
        row("names of files", false, false, names),
        row("words and kinds, no contents", true, false, words.clone()),
        row("ten words of each, all counted", true, false, preview),
        row("whole contents, all kept", true, false, full),
        row("a step: words and kinds", true, true, words),
    ]
}

/// The time that the analyzer takes, and the number of files that it finds.
fn analyzer(base: &Path, place: &Path, row: &Row) -> Outcome<(Duration, usize)> {
    let settings = json!({ "base_directory": base, "operations": [row.operation] });
    let settings: FolderAnalyzerSettings = serde_json::from_value(settings)?;
    if row.is_step {
        return step(place, settings);
    }
    let start = Instant::now();
    let output = analyze_folders(base, &settings, &Stop::default()).map_err(|error| error.info.message)?;
    let time = start.elapsed();
    let result = &output.outcome["results"][0];
    let files = match result["files_found"].as_array() {
        Some(files) => files.len(),
        None => count(&result["analysis"]),
    };
    Ok((time, files))
}

fn step(place: &Path, settings: FolderAnalyzerSettings) -> Outcome<(Duration, usize)> {
    let flow = FlowBuilder::new().node("look", settings).build()?;
    let context = RunContext::builder("flow", place)
        .unmasked()
        .nodes(builtin_nodes())
        .build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let start = Instant::now();
    let report = runtime.block_on(FlowRunner::new(flow, context).run())?;
    let time = start.elapsed();
    let outcome: Value = serde_json::from_slice(&fs::read(report.run_dir.join("flow/look/outcome.json"))?)?;
    Ok((time, count(&outcome["results"][0]["analysis"])))
}

fn count(node: &Value) -> usize {
    match node["children"].as_array() {
        Some(children) => children.iter().map(count).sum(),
        None => 1,
    }
}

/// A walk by the same rules; how many files there are, and of how many bytes.
fn plain(base: &Path, reads: bool) -> Outcome<(usize, u64)> {
    let walk = WalkBuilder::new(base)
        .standard_filters(false)
        .hidden(true)
        .git_ignore(true)
        .git_exclude(true)
        .ignore(true)
        .parents(true)
        .require_git(false)
        .sort_by_file_name(Ord::cmp)
        .build();
    let (mut files, mut bytes) = (0, 0);
    for entry in walk {
        let entry = entry?;
        if entry.file_type().is_some_and(|kind| kind.is_file()) {
            files += 1;
            if reads {
                bytes += u64::try_from(black_box(fs::read(entry.path())?).len())?;
            }
        }
    }
    Ok((files, bytes))
}

#[expect(clippy::disallowed_methods, reason = "a tree is made as a user would have it")]
fn make_tree(base: &Path, files: usize) -> Outcome<()> {
    let words = "some words of a source file, as they stand in one line of it\n";
    let mut made = 0;
    for directory in 0.. {
        // Four levels deep, as sources are.
        let names = [1000, 100, 10, 1].map(|unit| format!("d{}", directory / unit % DIRECTORIES));
        let dir = names.iter().fold(base.to_path_buf(), |dir, name| dir.join(name));
        fs::create_dir_all(&dir)?;
        if directory % DIRECTORIES == 0 {
            fs::write(dir.join(".gitignore"), "*.log\n/target/\n")?;
        }
        fs::write(dir.join("left_out.log"), words)?;
        for file in 0..IN_A_DIRECTORY {
            if made == files {
                return Ok(());
            }
            fs::write(
                dir.join(format!("f{file:02}.txt")),
                words.repeat(1 + made * 7 % 64),
            )?;
            made += 1;
        }
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn mib(bytes: u64) -> f64 {
    // Far below where a float is no longer exact.
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let bytes = bytes as f64;
    bytes / f64::from(1 << 20)
}

/// The resident memory now, from which the peak is counted again. Linux only.
#[expect(clippy::disallowed_methods, reason = "a switch of the system, not a file")]
fn resident_after_reset() -> Option<u64> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    status_kib("VmRSS:")
}

fn peak_kib() -> Option<u64> {
    status_kib("VmHWM:")
}

fn status_kib(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
