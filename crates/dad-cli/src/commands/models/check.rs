//! `dhenara models check`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use dad_core::{HierarchyPath, Timestamp, format_duration};
use dad_models::{
    CallContext, KnownModel, Message, ModelCatalog, ModelError, ModelOptions, ModelRequest, ModelResponse,
    Models, Role,
};
use dad_project::Project;
use dad_run::SecretSource;
use dad_terminal::{print_line, printable};
use serde_json::json;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::program;
use crate::output::summary::aligned;
use crate::output::{json, out};
use crate::session::drive::runtime;

/// The longest answer that is asked for: the least that OpenAI's responses take (vectorize-io/hindsight#58).
const TOKENS: u32 = 16;

/// The longest time that a model has to answer.
const TIME: Duration = Duration::from_secs(60);

/// Ask models for a few tokens each, and explain why one does not answer.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The model; all that `.dhenara/models.yaml` names if left out.
    name: Option<String>,
    /// The project; by default the nearest directory upward that holds `.dhenara`.
    #[arg(long, value_name = "DIR")]
    project_root: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for CheckArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.common().place)?;
        let catalog = project.model_catalog()?;
        let names = match &self.name {
            Some(name) => vec![name.clone()],
            None => catalog.configured().map(str::to_owned).collect(),
        };
        if names.is_empty() {
            let message = "`.dhenara/models.yaml` names no models";
            return Err(CommandError::usage("no_models", message).with_hint(format!(
                "name one: `{}`",
                program::command("models check PROVIDER/MODEL")
            )));
        }
        let found = check(&project, &catalog, &names, |checked| {
            // An answer may be a minute away: each is shown when it is there.
            if self.json {
                Ok(())
            } else {
                tell(&catalog, checked)
            }
        })?;
        if self.json {
            json::print(json!({ "models": found.iter().map(document).collect::<Vec<_>>() }))?;
        }
        let all_answer = found.iter().all(|checked| checked.answered.is_ok());
        Ok(if all_answer {
            exit_code::DONE
        } else {
            exit_code::FAILED
        })
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

/// A model that was asked.
struct Checked {
    name: String,
    /// The words of its answer, or the error and the next thing to do.
    answered: Result<String, (ModelError, Option<String>)>,
}

/// Asks one model after the other, as the steps of a run do.
fn check(
    project: &Project,
    catalog: &ModelCatalog,
    names: &[String],
    on_checked: impl Fn(&Checked) -> Result<(), CommandError>,
) -> Result<Vec<Checked>, CommandError> {
    let context = project.clone().only_looks().context("models_check")?;
    let Some(models) = context.resources().get::<Models>() else {
        return Err(CommandError::usage("no_models", "this program asks no models"));
    };
    let client = models
        .client(false)
        .map_err(|error| CommandError::usage(error.code(), error.to_string()))?;
    let file = SecretSource::new(project.root(), project.settings().credentials.as_deref());
    let path: HierarchyPath = "models_check"
        .parse()
        .map_err(|_| CommandError::usage("path", "`models_check` is no path"))?;
    let runtime = runtime()?;
    let checked = names.iter().map(|name| {
        let call = CallContext::new(path.clone()).timeout(TIME);
        let began = Instant::now();
        let answered = runtime.block_on(client.complete(&request(name), &call));
        let took = format_duration(began.elapsed());
        let answered = match answered {
            Ok(ModelResponse { model, .. }) => Ok(format!("answers as `{model}` after {took}")),
            // With so few tokens it may only have thought; it has counted them.
            Err(ModelError::Answer { usage: Some(_), .. }) => Ok(format!("answers after {took}")),
            Err(error) => {
                let advice = advice(&error, catalog, catalog.describe(name).ok().as_ref(), file.file());
                Err((error, advice))
            }
        };
        let checked = Checked {
            name: name.clone(),
            answered,
        };
        on_checked(&checked)?;
        Ok(checked)
    });
    checked.collect()
}

fn request(name: &str) -> ModelRequest {
    ModelRequest::new(
        name.to_owned(),
        vec![Message::new(Role::User, "Answer with the word yes.")],
    )
    .options(ModelOptions::default().max_output_tokens(TOKENS))
}

/// The next thing to do after an error.
fn advice(
    error: &ModelError,
    catalog: &ModelCatalog,
    model: Option<&KnownModel>,
    credentials: &Path,
) -> Option<String> {
    let Some(model) = model else { return error.hint() };
    let provider = &model.provider;
    let address = &provider.base_url;
    let key = format!(
        "`{}` in {}, or the environment variable {}",
        provider.name,
        credentials.display(),
        model.key_variable()
    );
    let advice = match error {
        ModelError::Status { status: 401, .. } => {
            format!("the provider does not take the key: check {key}")
        }
        ModelError::Status { status: 403, .. } => {
            format!("the key may not ask this model: check its rights at the provider, and whether it is the right one: {key}")
        }
        ModelError::Status { status: 404, .. } => {
            let name = format!("{}/{}", provider.name, model.model);
            let near = catalog.nearest_known(&name).filter(|near| *near != name);
            let near = near.map(|near| format!("; `{near}` is similar")).unwrap_or_default();
            format!("at {address} no model is named `{}`{near}; or the address is not the right one", model.model)
        }
        ModelError::Status { status: 402 | 429, .. } | ModelError::RateLimited { .. } => {
            "the key is good, and its rate limit or its quota is used up: look at limits and billing of the account at \
             the provider, or try again later"
                .to_owned()
        }
        ModelError::Status { status: 500.., .. } => {
            "the provider has trouble of its own: try again later".to_owned()
        }
        ModelError::Connection { .. } | ModelError::Cut { .. } | ModelError::TimedOut { .. } => format!(
            "check the address {address}, whether its server is there, and the proxy, if there is one (HTTPS_PROXY, \
             HTTP_PROXY, NO_PROXY)"
        ),
        error => return error.hint(),
    };
    Some(advice)
}

fn document(checked: &Checked) -> serde_json::Value {
    match &checked.answered {
        Ok(_) => json!({ "name": checked.name, "answers": true }),
        Err((error, advice)) => json!({
            "name": checked.name,
            "answers": false,
            "error": { "code": error.code(), "message": error.to_string(), "hint": advice },
        }),
    }
}

fn tell(catalog: &ModelCatalog, checked: &Checked) -> Result<(), CommandError> {
    if let Some(warning) = catalog.warning(&checked.name, Timestamp::now()) {
        print_line(&printable(&format!("warning: {warning}")));
    }
    let line = match &checked.answered {
        Ok(answered) => format!("{}: {answered}", checked.name),
        Err((error, advice)) => {
            let advice = advice
                .iter()
                .map(|advice| format!("\n  hint: {}", aligned(advice, 8)));
            format!(
                "{}: error[{}]: {error}{}",
                checked.name,
                error.code(),
                advice.collect::<String>()
            )
        }
    };
    out::lines(&printable(&line))
}
