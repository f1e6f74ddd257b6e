//! `cargo run -p runs-report -- DIRECTORY` prints a table of the runs in a directory.

use std::error::Error;
use std::io::Write;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: runs-report DIRECTORY")?;
    let report = runs_report::report(Path::new(&dir))?;
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(())
}
