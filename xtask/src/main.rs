//! The command line of the developer tasks.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer tool talks to its terminal"
)]

use std::env;
use std::process::ExitCode;

use xtask::{
    api, bench, book, browser, ci, clients, layers, models, packages, profile, receivers, reference, release,
    third_party, tidy,
};

const HELP: &str = "\
Developer tasks. Usage: cargo xtask TASK

  ci               everything that continuous integration does, in its order
                   --all              and what needs the registry of Python packages
  api              the public interface of the published crates against xtask/api
                   --update           writes it down
  clients          the official clients of the providers against the strict servers of the tests
                   --record           writes down the requests that they send
  browser          the page of a run: its types, and a page in Chromium (needs node, npm and a browser), from packages below target/
  receivers        the exporters at receivers that others wrote (rotel, opentelemetry-proto), from a virtual environment below target/
  third-party      our client at servers that others wrote (litellm, llmock), from a virtual environment below target/
  layers           which crate may depend on which, and which file of a crate may import from which
  tidy             the house rules that no other tool knows
  bench [OPTIONS]  what a step costs over plain writes of the same files
                   --sizes 100,1000   numbers of steps (default 100,1000,10000)
                   --rounds N         measurements of each (default 5)
                   --at PLACE         memory or disk (default both)
                   --json             one JSON document on standard output
  bench runs       what looking at runs costs, of the library and of the command
                   --runs N           how many runs are listed (default 10000)
                   --steps N          how many steps the run that is shown has (default 100000)
                   --rounds N         measurements of each (default 5)
  bench resume     what it costs to resume a run that was interrupted at its very end
                   --steps N          how many steps it has (default 100000)
                   --rounds, --at and --json as above
  bench rerun      what a re-run costs that takes every step over, above plain copies of the same files
                   --steps N          how many steps there are (default 10000)
                   --rounds, --at and --json as above
  bench analyzer   what the folder analyzer costs over a plain walk that reads the same bytes
                   --files N          how many files are looked at (default 50000)
                   --rounds N         measurements of each (default 5)
  bench templates  what parsing and rendering templates costs; takes --rounds and --json
  book             docs/ as a book below target/book, if there is a mdbook
  models           writes the facts about models anew, from the newest table of the package litellm
                   --from FILE        takes them from this wheel or table instead
  packages         the published crates as packages: their files, and programs that use them from outside
  profile [NAMES]  instructions and system calls of fixed scenarios, with the change since they were recorded
                   --release          of programs that are built for release (default: as the tests are)
                   --record           writes the figures to xtask/profile.json
  reference        the page of the commands, docs/reference/command-line.md; a test compares it
                   --update           writes the page
  release          everything that a release needs, then the commands that publish it; it publishes nothing
";

fn main() -> ExitCode {
    if let Some(code) = api::as_rustdoc() {
        return code;
    }
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["help"] | [.., "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["ci", options @ ..] => ci::run(options),
        ["clients", options @ ..] => clients::run(options),
        ["third-party"] => third_party::run(),
        ["receivers"] => receivers::run(),
        ["browser"] => browser::run(),
        ["api", options @ ..] => api::run(options),
        ["layers"] => layers::run(),
        ["tidy"] => tidy::run(),
        ["bench", options @ ..] => bench::run(options),
        ["book"] => book::run(),
        ["models", options @ ..] => models::run(options),
        ["packages"] => packages::run(),
        ["profile", options @ ..] => profile::run(options),
        ["reference", options @ ..] => reference::run(options),
        ["release"] => release::run(),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
