//! Creating the directory of a run. The order of the writes is what makes each crash readable.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use dad_core::{Digest, Redactor, RunId, RunKind, Timestamp};
use dad_fs::{Dir, Durability};
use serde_json::{Map, Value, json};

use crate::clock::{random_hex, random_suffix};
use crate::document::{Versioned, to_file_text, write_new_json};
use crate::error::{RunError, SetupError};
use crate::format;
use crate::journal::record::RecordBody;
use crate::journal::values::store_value;
use crate::journal::writer::JournalWriter;
use crate::layout::{DOT_RUN, DOT_TRACE, PLAN, STAGE, STATIC_INPUTS, STATIC_INPUTS_FILE};
use crate::live::active_run::ActiveRun;
use crate::live::inbox::Inbox;
use crate::live::inputs::GivenInputs;
use crate::live::masking::copy_files;
use crate::origin_key::OriginKey;
use crate::rerun::plan::RerunPlan;
use crate::setup::context::RunContext;
use crate::setup::dirs::Dirs;
use crate::setup::drive::{OpenedRunDir, drive};
use crate::setup::options::Options;
use crate::setup::prepare::Prepared;
use crate::store::definition_file::write_definition;
use crate::store::lease;
use crate::store::lease::Lease;
use crate::store::view::RunView;

impl RunContext {
    pub(super) fn create(self, prepared: Prepared) -> Result<ActiveRun, RunError> {
        let created_at = self.options.clock.now();
        // The directory first: creating it is what makes the id this run's own.
        let (run_id, dir) = self.create_dir(created_at, &prepared)?;
        // The lease before any file, so that another process never takes the unfinished directory for an abandoned one.
        let (dot_run, mut lease) = begin_lease(&dir)?;
        let scope = self.scope_of(run_id.as_str(), dir.path(), prepared.given.clone());
        let Options {
            durability,
            clock,
            spans,
            secrets,
            ..
        } = &self.options;
        let Prepared {
            program,
            plan,
            inputs,
            input_dir,
            ..
        } = &prepared;

        // Written plainly, because with `Durability::Disk` the whole directory is synced before its first record.
        let plainly = Durability::Process;
        write_definition(&dot_run, program, spans.as_deref(), plainly)?;
        let plan_digest = match plan {
            Some(plan) => Some(write_new_json(&dot_run, PLAN, plan, plainly)?.blake3),
            None => None,
        };
        let redactor = secrets.redactor();
        let static_inputs_digest = write_static_inputs(&dir, inputs, input_dir.as_ref(), &redactor, plainly)?;
        let stage = dot_run.create_dir(STAGE)?;
        let trace = dir.create_dir(DOT_TRACE)?;
        let variables = Value::Object(scope.given_variables.clone());
        let variables = store_value(&dot_run, variables, plainly)?;
        let key = self.options.origin_key.clone();
        let key_id = key.as_ref().map(OriginKey::id);
        // A re-run compares digests with those of its parent.
        let inherited = prepared.parent.as_ref().and_then(|parent| parent.salt());
        let salt = inherited.map_or_else(random_hex, |salt| Ok(salt.to_owned()))?;
        // The journal last: a directory without a first record is no run to any reader, whatever else is in it.
        let mut journal = JournalWriter::create(&dot_run, key)?;
        lease.lock_journal(&dot_run)?;
        // Before the first record, which vouches for the files by their digests.
        if *durability == Durability::Disk {
            dir.sync_tree()?;
            self.sync_run_root()?;
        }
        journal.append(
            created_at,
            &RecordBody::RunCreated {
                schema_version: format::JOURNAL,
                run_id: run_id.clone(),
                root_id: self.root_id.clone(),
                definition_digest: program.digest,
                parent: plan.as_ref().map(|plan| plan.parent.clone()),
                plan_digest,
                key_id,
                salt: Some(salt),
            },
            None,
        )?;
        let options = self.run_options(plan.as_ref())?;
        let inputs = RecordBody::Inputs {
            variables,
            options,
            static_inputs_digest,
        };
        journal.append(clock.now(), &inputs, None)?;
        // Before the run executes anything: its effects must not be on the disk when its beginning is not.
        if *durability == Durability::Disk {
            journal.sync()?;
        }

        let opened = OpenedRunDir {
            dir,
            dot_run,
            stage,
            trace,
            lease,
            inbox: Inbox::default(),
            journal,
            run_id,
            created_at,
            history: None,
            interrupted: HashMap::new(),
            upgraded_from: None,
        };
        drive(opened, prepared, scope, self)
    }

    /// Waits until the directories that hold runs are on the disk, up to the project or, if the run root lies
    /// elsewhere, up to the directory that holds it.
    pub(crate) fn sync_run_root(&self) -> Result<(), RunError> {
        let Dirs {
            project_root,
            run_root,
            effective_run_root,
        } = &self.dirs;
        let top = if effective_run_root.starts_with(project_root) {
            Some(&**project_root)
        } else {
            run_root.parent()
        };
        for place in effective_run_root.ancestors() {
            Dir::open_with(place, self.options.gate.clone())?.sync()?;
            if Some(place) == top {
                break;
            }
        }
        Ok(())
    }

    /// Makes the run directory. Its creation is what makes the id this run's own.
    fn create_dir(&self, at: Timestamp, prepared: &Prepared) -> Result<(RunId, Dir), RunError> {
        let Options {
            run_id,
            key,
            run_id_prefix,
            gate,
            share,
            ..
        } = &self.options;
        let place = &self.dirs.effective_run_root;
        let root = self.dirs.create(gate)?.shared_with(*share);
        let is_rerun = prepared.plan.is_some();
        let kind = if is_rerun { RunKind::Rerun } else { RunKind::Run };
        let of_key = key.as_ref().map(|key| RunId::of_key(&self.root_id, key));
        loop {
            let id = match of_key.as_ref().or(run_id.as_ref()) {
                Some(id) => id.clone(),
                None => RunId::generate(kind, run_id_prefix.as_deref(), at, random_suffix())?,
            };
            match root.create_dir(id.as_str()) {
                Ok(dir) => return Ok((id, dir)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    if of_key.is_some() {
                        return Err(self.started_before(&id, prepared)?.into());
                    }
                    if run_id.is_some() {
                        return Err(SetupError::RunExists(id.to_string()).into());
                    }
                }
                Err(source) => {
                    return Err(SetupError::RunRoot {
                        path: place.clone(),
                        source,
                    }
                    .into());
                }
            }
        }
    }

    /// The error for a run that has the key of this one.
    fn started_before(&self, id: &RunId, prepared: &Prepared) -> Result<SetupError, RunError> {
        let dir = self.dirs.effective_run_root.join(id.as_str());
        let before = open_begun(&dir, self.options.origin_key.as_ref())?;
        let static_inputs = static_inputs_text(&prepared.inputs)?.map(|text| Digest::of(&text));
        let same_inputs =
            before.given_variables()? == prepared.given && before.static_inputs_digest() == static_inputs;
        Ok(SetupError::StartedBefore {
            run: id.to_string(),
            same_inputs,
        })
    }

    /// The options that the run was started with, for the journal.
    fn run_options(&self, plan: Option<&RerunPlan>) -> Result<Map<String, Value>, RunError> {
        let settings = serde_json::to_value(self.settings.clone().resolved());
        let settings = settings.map_err(|error| SetupError::Unrecordable {
            what: "what the run is driven with".to_owned(),
            reason: error.to_string(),
        })?;
        let mut given = settings.as_object().cloned().unwrap_or_default();
        given.insert("interactive".to_owned(), self.options.interactive.into());
        if let Some(entry) = plan.and_then(|plan| plan.entry_point.as_ref()) {
            given.insert("entry_point".to_owned(), json!(entry));
        }
        if let Some(subpath) = &self.options.run_root_subpath {
            given.insert("run_root_subpath".to_owned(), subpath.clone().into());
        }
        Ok(given)
    }
}

/// Opens a run that another process may be about to create: its first record comes behind its directory.
fn open_begun(dir: &Path, key: Option<&OriginKey>) -> Result<RunView, RunError> {
    const LOOKS: u32 = 20;
    for _ in 0..LOOKS {
        if let Ok(view) = RunView::open_with(dir, key) {
            return Ok(view);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    RunView::open_with(dir, key).map_err(|error| match error {
        RunError::Fs(error) if error.kind() == std::io::ErrorKind::NotFound => {
            SetupError::NoJournal(dir.to_path_buf()).into()
        }
        error => error,
    })
}

fn begin_lease(dir: &Dir) -> Result<(Dir, Lease), RunError> {
    let dot_run = dir.create_dir(DOT_RUN)?;
    let mut lease = lease::acquire(&dot_run, false)?;
    lease.sign(&dot_run)?;
    Ok((dot_run, lease))
}

fn write_static_inputs(
    run_dir: &Dir,
    inputs: &GivenInputs,
    input_dir: Option<&Dir>,
    redactor: &Redactor,
    durability: Durability,
) -> Result<Option<Digest>, RunError> {
    let target = run_dir.create_dir(STATIC_INPUTS)?;
    if let Some(source) = input_dir {
        copy_files(source, &target, redactor)?;
    }
    let Some(text) = static_inputs_text(inputs)? else {
        return Ok(None);
    };
    // A file of that name may have been copied there.
    target.replace(STATIC_INPUTS_FILE, &text, durability)?;
    Ok(Some(Digest::of(&text)))
}

/// The file of the inputs of steps; `None` if there are none.
fn static_inputs_text(inputs: &GivenInputs) -> Result<Option<Vec<u8>>, RunError> {
    if inputs.is_empty() {
        return Ok(None);
    }
    let document = Versioned::new(format::STATIC_INPUTS, inputs.to_json());
    to_file_text(STATIC_INPUTS_FILE, &document).map(Some)
}
