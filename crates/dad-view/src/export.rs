//! A run as one HTML file.

use std::io::{self, Write};

use dad_core::Timestamp;
use dad_project::{ProjectRun, SpendBy, spending_of};
use dad_run::{Question, RunDocument, RunEntry, Timeline, TimelineOptions, ViewEntry};
use derive_setters::Setters;
use serde::Serialize;

use crate::assets::ExportedPage;
use crate::details::{Limits, StepDetails};
use crate::error::ViewError;
use crate::script_data::write_json;
use crate::versioned::{FORMAT, versioned};

/// The least length of a portion of steps, in bytes: a browser reads it in a moment.
const PORTION: usize = 1 << 20;

/// The limits of a page, and the name of the command that it shows.
#[derive(Clone, Debug, Setters)]
#[setters(into)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The longest file, result or conversation that the page holds, in bytes; one megabyte by default.
    pub max_file: u64,
    /// The length of all details of steps in the page, in bytes; 50 megabytes by default. Those of later steps are left out.
    pub max_total: u64,
    /// The command in the lines to copy; `dhenara` by default.
    pub program: String,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            max_file: 1_000_000,
            max_total: 50_000_000,
            program: "dhenara".to_owned(),
        }
    }
}

/// The extent of a page that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The steps whose details are in it.
    pub steps: usize,
    /// The steps whose details are left out, because they are above the limit.
    pub left_out: usize,
}

/// The facts of the page that are in no document of the command.
#[derive(Serialize)]
struct PageFacts<'a> {
    schema_version: u32,
    program: &'a str,
    exported_at: Timestamp,
    max_file: u64,
    max_total: u64,
    questions: Vec<Question>,
}

/// Writes the page of a run, with everything that it shows. Its memory does not grow with the details of the steps. A file that is
/// damaged is a line in the page.
///
/// # Errors
/// If the journal cannot be read, or the page cannot be written.
pub fn export_html(
    run: &ProjectRun,
    options: &ExportOptions,
    mut page: impl Write,
) -> Result<Exported, ViewError> {
    let view = run.view();
    let now = Timestamp::now();
    let timeline = Timeline::read(view.dir(), &TimelineOptions::default(), now)?;
    let frame = ExportedPage::new(view.run_id.as_str());
    page.write_all(frame.head.as_bytes())?;
    let questions = view
        .open_questions()
        .filter_map(|open| view.question(&open.id).ok());
    let facts = PageFacts {
        schema_version: FORMAT,
        program: &options.program,
        exported_at: now,
        max_file: options.max_file,
        max_total: options.max_total,
        questions: questions.collect(),
    };
    element(&mut page, "id=\"facts\"", &facts)?;
    element(
        &mut page,
        "id=\"run\"",
        &versioned::<RunDocument<'_>>(view.document()),
    )?;
    element(&mut page, "id=\"timeline\"", &versioned(timeline))?;
    let consumer =
        RunEntry::new(view.run_id.clone(), view.dir().to_path_buf(), view.status).totals(view.totals);
    element(
        &mut page,
        "id=\"spending\"",
        &versioned(spending_of(&[consumer], SpendBy::Model)),
    )?;
    let exported = steps(run, options, &mut page)?;
    page.write_all(frame.tail.as_bytes())?;
    page.flush()?;
    Ok(exported)
}

fn element(page: &mut impl Write, name: &str, document: &impl Serialize) -> io::Result<()> {
    write!(page, "<script type=\"application/json\" {name}>")?;
    write_json(document, &mut *page)?;
    page.write_all(b"</script>\n")
}

/// Writes the details of the steps in portions, each with the number of its first entry and of the one behind its last.
fn steps(run: &ProjectRun, options: &ExportOptions, page: &mut impl Write) -> Result<Exported, ViewError> {
    let view = run.view();
    let mut attempts = view.attempts_by_step()?;
    let limits = Limits {
        part: options.max_file,
        file: options.max_file,
    };
    let places = view.entries().enumerate();
    let mut places = places
        .filter(|(_, (_, entry))| !matches!(entry, ViewEntry::Component { .. }))
        .map(|(index, (path, _))| (index, path));
    let mut exported = Exported {
        steps: 0,
        left_out: 0,
    };
    let mut portion = Portion::default();
    let mut total = 0;
    for (index, path) in places.by_ref() {
        let of_step = attempts.remove(path).unwrap_or_default();
        let details = StepDetails::of(run, path, of_step, limits);
        let mut json = Vec::new();
        write_json(&details, &mut json)?;
        total += json.len() as u64;
        if total > options.max_total {
            exported.left_out = 1 + places.count();
            break;
        }
        exported.steps += 1;
        portion.add(index, &json);
        if portion.json.len() >= PORTION {
            std::mem::take(&mut portion).write(page)?;
        }
    }
    portion.write(page)?;
    Ok(exported)
}

/// Details of steps that follow each other.
#[derive(Default)]
struct Portion {
    json: Vec<u8>,
    first: usize,
    end: usize,
}

impl Portion {
    fn add(&mut self, index: usize, json: &[u8]) {
        if self.json.is_empty() {
            self.first = index;
        } else {
            self.json.extend(b",\n");
        }
        self.json.extend(json);
        self.end = index + 1;
    }

    fn write(self, page: &mut impl Write) -> io::Result<()> {
        if self.json.is_empty() {
            return Ok(());
        }
        let Self { json, first, end } = self;
        write!(
            page,
            "<script type=\"application/json\" class=\"steps\" data-first=\"{first}\" data-end=\"{end}\">["
        )?;
        page.write_all(&json)?;
        page.write_all(b"]</script>\n")
    }
}
