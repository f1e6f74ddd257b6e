//! `dhenara validate`.

use std::path::{Path, PathBuf};

use clap::Args;
use dad_core::{DefinitionKind, ElementId, ErrorInfo, HierarchyPath};
use dad_definition::{
    Checked, NodeElement, Problems, Program, check_executable, check_file, compile, mermaid,
};
use dad_project::{FoundDefinition, Project, name_of_definition};
use dad_run::RunError;
use dad_runner::RunSetup;
use dad_terminal::{
    internal::{count, error_width},
    print_line,
};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::program;
use crate::output::{json, out};

/// Check definitions without running them: every problem at once, with its place.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// An agent or flow of the project, or a definition file; all agents and flows of the project if left out.
    name: Option<String>,
    /// The project; by default the nearest directory upward that holds `.dhenara`.
    #[arg(long, value_name = "DIR")]
    project_root: Option<PathBuf>,
    /// Print the definition as a flowchart for Mermaid.
    #[arg(long, requires = "name", conflicts_with = "json")]
    graph: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for ValidateArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        match &self.name {
            Some(name) if self.graph => graph(app, name, &self.common().place),
            name => validate(app, name.as_deref(), &self.common().place, self.json),
        }
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: Place {
                project_root: self.project_root.clone(),
                ..Place::default()
            },
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

/// A definition to be checked.
enum Subject {
    /// One built into the program, by its number there.
    BuiltIn(usize),
    /// A file, and what its root is called after.
    File(PathBuf, String),
}

/// The findings about a definition.
struct Verdict {
    what: String,
    /// The compiled program.
    outcome: Result<Option<Program>, Problems>,
    /// Steps that no model could be asked for, whatever the run is given.
    unready: Vec<ErrorInfo>,
    warnings: Vec<String>,
}

impl Verdict {
    fn is_valid(&self) -> bool {
        self.outcome.is_ok() && self.unready.is_empty()
    }

    /// Looks for steps that have no model to ask. A key that is missing here may be there where the definition runs.
    fn look_at_models(&mut self, app: &App, project: &Project) {
        let Ok(Some(program)) = &self.outcome else { return };
        let context = match project.clone().only_looks().context(program.root.path.as_str()) {
            Ok(context) => context,
            Err(error) => return self.warnings.push(error.to_string()),
        };
        let budget = program.definition.budget.unwrap_or_default();
        let setup = |node: &NodeElement| {
            RunSetup::new(context.resources())
                .budget(budget.overridden_by(node.options.budget.unwrap_or_default()))
                .has_input(node.asks())
        };
        for error in app.nodes.unready(program, setup) {
            if error.code == "no_credentials" {
                self.warnings.push(format!("warning: {}", said(&error)));
            } else {
                self.unready.push(error);
            }
        }
        let of_models = project.model_warnings(&program.definition).into_iter();
        self.warnings
            .extend(of_models.map(|warning| format!("warning: {warning}")));
    }
}

fn validate(app: &App, name: Option<&str>, place: &Place, as_json: bool) -> Result<u8, CommandError> {
    let (project, subjects) = subjects(app, name, place)?;
    let verdicts: Vec<Verdict> = subjects
        .iter()
        .map(|subject| {
            let mut verdict = verdict(app, subject, project.root());
            verdict.look_at_models(app, &project);
            verdict
        })
        .collect();
    if as_json {
        json::print(document(&verdicts))?;
    } else {
        verdicts.iter().try_for_each(tell)?;
    }
    let valid = verdicts.iter().all(Verdict::is_valid);
    Ok(if valid { exit_code::DONE } else { exit_code::USAGE })
}

fn graph(app: &App, name: &str, place: &Place) -> Result<u8, CommandError> {
    let (_, found) = find_one(app, name, place)?;
    let root: HierarchyPath = found.root_id.parse().map_err(RunError::from)?;
    out::exact(&mermaid(&found.definition, &root, |_| None))?;
    Ok(exit_code::DONE)
}

/// The one definition of a name, checked: an agent of the project or program, or a file.
pub(crate) fn find_one(
    app: &App,
    name: &str,
    place: &Place,
) -> Result<(Project, FoundDefinition), CommandError> {
    let (project, subjects) = subjects(app, Some(name), place)?;
    let found = match subjects.into_iter().next() {
        Some(Subject::File(file, _)) => project.definition_in(&file)?,
        _ => match project.kind_of(name)? {
            DefinitionKind::Agent => project.agent(name)?,
            DefinitionKind::Flow => project.flow(name)?,
        },
    };
    Ok((project, found))
}

fn subjects(app: &App, name: Option<&str>, place: &Place) -> Result<(Project, Vec<Subject>), CommandError> {
    let Some(name) = name else {
        return all_subjects(app.project(place)?);
    };
    if let Some(number) = app.definitions.iter().position(|(known, _)| known == name) {
        return Ok((app.project_or_here(place)?, vec![Subject::BuiltIn(number)]));
    }
    if ElementId::new(name).is_ok() {
        match app.project(place) {
            Err(error) if error.info.code == "project" => {}
            project => {
                let project = project?;
                let file = file_of(&project, name)?;
                return Ok((project, vec![Subject::File(file, name.to_owned())]));
            }
        }
    }
    let file = PathBuf::from(name);
    let project = app.project_of(&file, place)?;
    let name = name_of_definition(&file);
    Ok((project, vec![Subject::File(file, name)]))
}

/// The file of an agent or flow.
fn file_of(project: &Project, name: &str) -> Result<PathBuf, CommandError> {
    Ok(match project.kind_of(name)? {
        DefinitionKind::Flow => project.flow_file(name).unwrap_or_default(),
        DefinitionKind::Agent => project.agent_file(name)?,
    })
}

fn all_subjects(project: Project) -> Result<(Project, Vec<Subject>), CommandError> {
    let agents = project.agents_in_files().into_iter().map(|name| {
        let file = project.agent_file(&name)?;
        Ok(Subject::File(file, name))
    });
    let mut subjects = agents.collect::<Result<Vec<_>, CommandError>>()?;
    let flows = project.flows_in_files().into_iter();
    subjects.extend(flows.filter_map(|name| Some(Subject::File(project.flow_file(&name)?, name))));
    subjects.extend((0..project.definitions_built_in().len()).map(Subject::BuiltIn));
    if subjects.is_empty() {
        let message = format!("there are no agents and flows in `{}`", project.root().display());
        return Err(CommandError::usage("no_agents", message).with_hint(format!(
            "name a file: `{}`; `{}` makes an agent",
            program::command("validate FILE"),
            program::command("new agent NAME")
        )));
    }
    Ok((project, subjects))
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
                    outcome: Ok(Some(program)),
                    unready: Vec::new(),
                    warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
                },
                Err(problems) => Verdict {
                    what,
                    outcome: Err(problems),
                    unready: Vec::new(),
                    warnings: Vec::new(),
                },
            }
        }
        Subject::BuiltIn(number) => {
            let (name, definition) = &app.definitions[*number];
            let root_id = definition
                .root_id
                .clone()
                .or_else(|| ElementId::new(format!("{name}_root")).ok());
            let compiled = root_id.map(|root_id| {
                let program = compile(definition, &root_id, &app.nodes, None)?;
                check_executable(definition, None)?;
                Ok(program)
            });
            Verdict {
                what: name.clone(),
                outcome: compiled.transpose(),
                unready: Vec::new(),
                warnings: Vec::new(),
            }
        }
    }
}

fn tell(verdict: &Verdict) -> Result<(), CommandError> {
    for warning in &verdict.warnings {
        print_line(&dad_terminal::printable(warning));
    }
    for error in &verdict.unready {
        print_line(&dad_terminal::printable(&format!(
            "error[{}]: {}",
            error.code,
            said(error)
        )));
    }
    let found = match &verdict.outcome {
        Ok(program) if verdict.unready.is_empty() => {
            let steps = program.as_ref().map_or(0, |program| program.steps().count());
            format!("valid, {}", count(steps as u64, "step"))
        }
        Ok(_) => count(verdict.unready.len() as u64, "problem"),
        Err(problems) => {
            print_line(&dad_terminal::printable(
                problems.for_width(error_width()).to_string().trim_end(),
            ));
            count(problems.as_slice().len() as u64, "problem")
        }
    };
    out::lines(&format!("{}: {found}", verdict.what))?;
    Ok(())
}

/// The problem of a step, with its hint.
fn said(error: &ErrorInfo) -> String {
    let path = error
        .path
        .as_ref()
        .map(|path| format!("`{path}`: "))
        .unwrap_or_default();
    let hint = error
        .hint
        .as_ref()
        .map(|hint| format!("\n  hint: {}", hint.replace('\n', "\n        ")));
    format!("{path}{}{}", error.message, hint.unwrap_or_default())
}

fn document(verdicts: &[Verdict]) -> Value {
    let definitions = verdicts.iter().map(|verdict| {
        let (steps, problems) = match &verdict.outcome {
            Ok(program) => {
                let steps = program.as_ref().map_or(0, |program| program.steps().count());
                (Some(steps), json::unready(&verdict.unready))
            }
            Err(problems) => (None, json::problems(problems)),
        };
        json!({
            "definition": verdict.what,
            "valid": verdict.is_valid(),
            "steps": steps,
            "problems": problems,
            "warnings": verdict.warnings,
        })
    });
    json!({
        "valid": verdicts.iter().all(Verdict::is_valid),
        "definitions": definitions.collect::<Vec<_>>(),
    })
}
