//! What no operation changes, whatever a model asks for: the records of runs, by which they are gone on with and believed,
//! and the settings of a project, which name commands and hold keys.

use std::path::{Path, PathBuf};

use dad_run::RunHandle;
use dad_run::layout::{DOT_RUN, DOT_TRACE, JOURNAL, RUN_SUMMARY, STATIC_INPUTS};

use super::place::{has_short_form, plain_name};

/// The settings of a project.
const SETTINGS: &str = ".dhenara";

/// The run that operations belong to.
#[derive(Clone, Debug)]
pub(crate) struct Protected {
    /// Without links.
    run_dir: PathBuf,
    root_id: String,
}

impl Protected {
    pub(crate) fn new(run: &RunHandle) -> Self {
        let identity = run.identity();
        let run_dir = &identity.run_dir;
        Self {
            run_dir: run_dir.canonicalize().unwrap_or_else(|_| run_dir.clone()),
            root_id: identity.root_id.as_str().to_owned(),
        }
    }

    /// Why a path, absolute and without links, is not to be changed.
    pub(crate) fn reason(&self, path: &Path) -> Option<&'static str> {
        let names: Vec<String> = super::place::segments(path)
            .map(|name| plain_name(&name))
            .collect();
        if names.iter().any(|name| is_name_of(name, SETTINGS)) {
            return Some("belongs to the settings of a project");
        }
        if self.run_dir.starts_with(path) {
            return Some("holds the directory of this run");
        }
        let run = path.ancestors().find(|dir| is_run(dir))?;
        if !is_same(run, &self.run_dir) {
            return Some("belongs to another run");
        }
        let first = names.get(super::place::segments(run).count())?;
        let records = [DOT_RUN, DOT_TRACE, STATIC_INPUTS, RUN_SUMMARY, &self.root_id];
        let is_record = records.iter().any(|record| is_name_of(first, record));
        is_record.then_some("belongs to the records of this run")
    }
}

/// Whether a name is the one of something, as a file system may read it.
fn is_name_of(plain: &str, wanted: &str) -> bool {
    plain == wanted.to_lowercase() || has_short_form(plain, wanted)
}

fn is_run(dir: &Path) -> bool {
    dir.join(DOT_RUN).join(JOURNAL).exists()
}

/// Whether two paths name one directory, also where case does not count.
fn is_same(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().is_ok_and(|a| a == b)
}
