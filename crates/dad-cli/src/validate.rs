use std::path::{Path, PathBuf};

use dad_core::ElementId;
use dad_definition::{Checked, Problems, check_executable, check_file, compile};
use dad_terminal::{count, print_line};
use serde_json::{Value, json};

use crate::app::App;
use crate::definitions::{self, Found, agent_file, agents_of, name_of};
use crate::error::CommandError;
use crate::run::{or_here, project_at, project_of};
use crate::{exit_code, json, out};

/// A definition to be checked.
enum Subject {
    /// One built into the program, by its number there.
    BuiltIn(usize),
    /// A file, and what its root is called after.
    File(PathBuf, String),
}

/// What was found out about a definition.
struct Verdict {
    what: String,
    outcome: Result<usize, Problems>,
    warnings: Vec<String>,
}

/// `dhenara validate [NAME|FILE]`: checks everything, says everything, runs nothing.
pub(crate) fn validate(
    app: &App,
    name: Option<&str>,
    project_root: Option<&Path>,
    as_json: bool,
) -> Result<u8, CommandError> {
    let (project_root, subjects) = subjects(app, name, project_root)?;
    let verdicts: Vec<Verdict> = subjects
        .iter()
        .map(|subject| verdict(app, subject, &project_root))
        .collect();
    if as_json {
        json::print(document(&verdicts))?;
    } else {
        verdicts.iter().try_for_each(tell)?;
    }
    let valid = verdicts.iter().all(|verdict| verdict.outcome.is_ok());
    Ok(if valid { exit_code::DONE } else { exit_code::USAGE })
}

/// The one definition of a name, checked: an agent of the project or program, or a file.
pub(crate) fn find_one(
    app: &App,
    name: &str,
    project_root: Option<&Path>,
) -> Result<(PathBuf, Found), CommandError> {
    let (project_root, subjects) = subjects(app, Some(name), project_root)?;
    let found = match subjects.into_iter().next() {
        Some(Subject::File(file, name)) => definitions::load(app, &file, &project_root, &name)?,
        _ => definitions::agent(app, &project_root, name)?,
    };
    Ok((project_root, found))
}

fn subjects(
    app: &App,
    name: Option<&str>,
    project_root: Option<&Path>,
) -> Result<(PathBuf, Vec<Subject>), CommandError> {
    let root = || project_at(project_root);
    let built_in = app.agents.iter().map(|(name, _)| name);
    let Some(name) = name else {
        let root = root()?;
        let files = agents_of(&root).into_iter().map(|name| {
            let file = agent_file(app, &root, &name)?;
            Ok(Subject::File(file, name))
        });
        let mut subjects = files.collect::<Result<Vec<_>, CommandError>>()?;
        subjects.extend((0..app.agents.len()).map(Subject::BuiltIn));
        if subjects.is_empty() {
            let message = format!("there are no agents in `{}`", root.display());
            return Err(
                CommandError::usage("no_agents", message).with_hint("name a file: `dhenara validate FILE`")
            );
        }
        return Ok((root, subjects));
    };
    if let Some(number) = built_in.clone().position(|known| known == name) {
        let root = or_here(root(), Path::new(""))?;
        return Ok((root, vec![Subject::BuiltIn(number)]));
    }
    if ElementId::new(name).is_ok() {
        match root() {
            Err(error) if error.info.code == "project" => {}
            root => {
                let root = root?;
                let file = agent_file(app, &root, name)?;
                return Ok((root, vec![Subject::File(file, name.to_owned())]));
            }
        }
    }
    let file = PathBuf::from(name);
    let root = match project_root {
        Some(root) => project_at(Some(root))?,
        None => project_of(&file)?,
    };
    let name = name_of_definition(&file);
    Ok((root, vec![Subject::File(file, name)]))
}

/// An agent is called after its directory, every other definition after its file.
fn name_of_definition(file: &Path) -> String {
    let directory = file.parent().and_then(Path::file_name);
    match directory {
        Some(directory) if file.file_stem().is_some_and(|stem| stem == "agent") => {
            name_of(Path::new(directory))
        }
        _ => name_of(file),
    }
}

fn verdict(app: &App, subject: &Subject, project_root: &Path) -> Verdict {
    match subject {
        Subject::File(file, name) => {
            let what = file
                .strip_prefix(project_root)
                .unwrap_or(file)
                .display()
                .to_string();
            match check_file(file, Some(project_root), name, &app.nodes) {
                Ok(Checked { loaded, program, .. }) => Verdict {
                    what,
                    outcome: Ok(program.steps().count()),
                    warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
                },
                Err(problems) => Verdict {
                    what,
                    outcome: Err(problems),
                    warnings: Vec::new(),
                },
            }
        }
        Subject::BuiltIn(number) => {
            let (name, agent) = &app.agents[*number];
            let definition = agent.definition();
            let root_id = definition
                .root_id
                .clone()
                .or_else(|| ElementId::new(format!("{name}_root")).ok());
            let outcome = root_id.map_or(Ok(0), |root_id| {
                let program = compile(definition, &root_id, &app.nodes, None)?;
                check_executable(definition, None)?;
                Ok(program.steps().count())
            });
            Verdict {
                what: name.clone(),
                outcome,
                warnings: Vec::new(),
            }
        }
    }
}

fn tell(verdict: &Verdict) -> Result<(), CommandError> {
    for warning in &verdict.warnings {
        print_line(&dad_terminal::printable(warning));
    }
    match &verdict.outcome {
        Ok(steps) => out::lines(&format!(
            "{}: valid, {}",
            verdict.what,
            count(*steps as u64, "step")
        ))?,
        Err(problems) => {
            print_line(&dad_terminal::printable(problems.to_string().trim_end()));
            let found = count(problems.as_slice().len() as u64, "problem");
            out::lines(&format!("{}: {found}", verdict.what))?;
        }
    }
    Ok(())
}

fn document(verdicts: &[Verdict]) -> Value {
    let definitions = verdicts.iter().map(|verdict| {
        let (steps, problems) = match &verdict.outcome {
            Ok(steps) => (Some(*steps), json!([])),
            Err(problems) => (None, json::problems(problems)),
        };
        json!({
            "definition": verdict.what,
            "valid": verdict.outcome.is_ok(),
            "steps": steps,
            "problems": problems,
            "warnings": verdict.warnings,
        })
    });
    json!({
        "valid": verdicts.iter().all(|verdict| verdict.outcome.is_ok()),
        "definitions": definitions.collect::<Vec<_>>(),
    })
}
