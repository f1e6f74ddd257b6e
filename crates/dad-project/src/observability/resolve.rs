//! The settings that hold, each from the strongest place that gives one: the environment, the project, the user.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dad_observability::{
    Endpoint, ExporterType, Exporters, ObservabilitySettings, OtlpHeaders, OtlpSignal, Signal,
};
use dad_run::{SecretSource, Variables};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::config::Observability;
use super::variables::{
    self, CERTIFICATE, COMPRESSION, DISABLED, ENDPOINT, HEADER, Key, PROTOCOL, RESOURCE, SERVICE_NAME,
    TIMEOUT,
};
use crate::config::FILE;
use crate::error::ProjectError;
use crate::project::Project;
use crate::settings::{Setting, SettingOrigin};

const SECRET: &str = "$secret{";

/// Headers that hold a key, which no file of the configuration has as it is.
const HEADERS_OF_KEYS: [&str; 5] = [
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "cookie",
];

/// The settings of observability that hold.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// `None` if no signals are written.
    pub(super) settings: Option<ObservabilitySettings>,
    pub(super) shown: Vec<Setting>,
    /// The warnings about what the environment says and this program does not have.
    pub(super) warnings: Vec<String>,
}

/// A value with the place that it comes from.
struct Found<T> {
    value: T,
    /// The signal that it was given for; `None` if for all.
    signal: Option<Signal>,
    origin: SettingOrigin,
}

impl<T> Found<T> {
    const fn is_of_project(&self) -> bool {
        matches!(self.origin, SettingOrigin::Project(_))
    }
}

/// A place that gives settings.
enum Source<'a> {
    Environment(&'a Variables),
    File(&'a Observability, SettingOrigin),
}

impl Source<'_> {
    fn get<T>(&self, key: &Key<T>, signal: Option<Signal>) -> Result<Option<Found<T>>, ProjectError> {
        let (value, origin) = match self {
            Self::Environment(variables) => {
                let name = key.variable(signal);
                let value = read(variables, name, key.read)?;
                (value, SettingOrigin::Variable(name))
            }
            Self::File(said, origin) => ((key.of)(said.of(signal)), origin.clone()),
        };
        Ok(value.map(|value| Found {
            value,
            signal,
            origin,
        }))
    }
}

/// Reads an environment variable.
fn read<T>(
    variables: &Variables,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, ProjectError> {
    let text = variables::text(variables, name);
    let value = text.and_then(|text| text.map(|text| read(&text)).transpose());
    value.map_err(|reason| wrong(format!("${name}"), reason))
}

fn wrong(place: impl Into<String>, reason: impl Into<String>) -> ProjectError {
    ProjectError::Observability {
        place: place.into(),
        reason: reason.into(),
        hint: None,
    }
}

/// Finds the settings of a project.
pub(super) struct Resolver<'a> {
    project: &'a Project,
    sources: Vec<Source<'a>>,
    /// Whether the secrets of headers are looked up.
    wants_secrets: bool,
    resolved: Resolved,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        project: &'a Project,
        declared: Option<&'a Observability>,
        user: Option<&'a Observability>,
    ) -> Self {
        let of_project = declared.map(|said| Source::File(said, SettingOrigin::Project(FILE.into())));
        let of_user = user.map(|said| Source::File(said, user_origin(project)));
        let environment = Source::Environment(project.user().all_variables());
        Self {
            project,
            sources: [Some(environment), of_project, of_user]
                .into_iter()
                .flatten()
                .collect(),
            wants_secrets: true,
            resolved: Resolved::default(),
        }
    }

    /// The same for showing the settings, for which no secret has to be there.
    pub(super) fn without_secrets(self) -> Self {
        Self {
            wants_secrets: false,
            ..self
        }
    }

    /// The settings, with the endpoint that the caller gives in the place of all others.
    pub(super) fn resolve(mut self, given: Option<&str>) -> Result<Resolved, ProjectError> {
        if !self.is_enabled()? {
            return Ok(self.resolved);
        }
        let mut settings = ObservabilitySettings::default();
        self.about_the_service(&mut settings)?;
        for signal in Signal::ALL {
            self.about(signal, given, &mut settings)?;
        }
        self.resolved.settings = Some(settings);
        Ok(self.resolved)
    }

    fn is_enabled(&mut self) -> Result<bool, ProjectError> {
        let variables = self.project.user().all_variables();
        let disabled = read(variables, DISABLED, |text| Ok(text.eq_ignore_ascii_case("true")))?;
        let mut enabled = (true, SettingOrigin::Default);
        if disabled == Some(true) {
            enabled = (false, SettingOrigin::Variable(DISABLED));
        } else if let Some((said, origin)) = self.in_files(|said| said.enabled) {
            enabled = (said, origin);
        } else if let Some((_, origin)) = self.in_files(|said| Some(said.clone())) {
            enabled = (true, origin);
        }
        self.show("observability".to_owned(), json!(enabled.0), enabled.1);
        Ok(enabled.0)
    }

    /// The first value that a file gives.
    fn in_files<T>(&self, of: impl Fn(&Observability) -> Option<T>) -> Option<(T, SettingOrigin)> {
        self.sources.iter().find_map(|source| match source {
            Source::File(said, origin) => Some((of(said)?, origin.clone())),
            Source::Environment(_) => None,
        })
    }

    fn about_the_service(&mut self, settings: &mut ObservabilitySettings) -> Result<(), ProjectError> {
        let variables = self.project.user().all_variables();
        let mut attributes = read(variables, RESOURCE, variables::pairs)?.unwrap_or_default();
        let named = attributes.remove("service.name");
        let named = named.map(|name| (name, SettingOrigin::Variable(RESOURCE)));
        let given = read(variables, SERVICE_NAME, |text| Ok(text.to_owned()))?;
        let given = given.map(|name| (name, SettingOrigin::Variable(SERVICE_NAME)));
        let in_file = || self.in_files(|said| said.service_name.clone());
        let found = given.or(named).or_else(in_file);
        if let Some((name, origin)) = found {
            self.show("observability.service_name".to_owned(), json!(name), origin);
            settings.service_name = name;
        } else if let Some(name) = self.project.name() {
            settings.service_name = name;
        }
        settings.resource_attributes = attributes;
        if let Some((content, origin)) = self.in_files(|said| said.capture_content) {
            self.show("observability.capture_content".to_owned(), json!(content), origin);
            settings.capture_content = content;
        }
        Ok(())
    }

    /// The exporters and the receiver of a signal.
    fn about(
        &mut self,
        signal: Signal,
        given: Option<&str>,
        settings: &mut ObservabilitySettings,
    ) -> Result<(), ProjectError> {
        let mut endpoint = self.first(&ENDPOINT, signal)?;
        if let Some(given) = given {
            endpoint = Some(Found {
                value: given.to_owned(),
                signal: None,
                origin: SettingOrigin::Given,
            });
        }
        let mut exporters = self.exporters(signal, endpoint.is_some())?;
        if given.is_some() {
            exporters = ExporterType::Otlp.into();
        }
        let exports = exporters.contains(ExporterType::Otlp);
        let place = match signal {
            Signal::Traces => &mut settings.tracing_exporter_type,
            Signal::Metrics => &mut settings.metrics_exporter_type,
            Signal::Logs => &mut settings.logging_exporter_type,
        };
        *place = exporters;
        if !exports {
            return Ok(());
        }
        if let Some(found) = &endpoint
            && let Err(reason) = Endpoint::parse(&found.value)
        {
            return Err(wrong(
                found.origin.to_string(),
                format!("the endpoint of {signal}: {reason}"),
            ));
        }
        let certificate = self.first(&CERTIFICATE, signal)?;
        let mut own = OtlpSignal::default();
        own.headers = Some(self.headers(signal, endpoint.as_ref(), certificate.as_ref())?);
        own.certificate = certificate.map(|file| self.project.root().join(file.value));
        own.protocol = self.first(&PROTOCOL, signal)?.map(|found| found.value);
        own.timeout = self.first(&TIMEOUT, signal)?.map(|found| found.value);
        own.compression = self.first(&COMPRESSION, signal)?.map(|found| found.value);
        match endpoint {
            Some(found) if found.signal.is_some() => own.endpoint = Some(found.value),
            Some(found) => settings.otlp_endpoint = Some(found.value),
            None => {}
        }
        match signal {
            Signal::Traces => settings.otlp_traces = own,
            Signal::Metrics => settings.otlp_metrics = own,
            Signal::Logs => settings.otlp_logs = own,
        }
        Ok(())
    }

    /// The value of a key for a signal: in each place that for the signal alone comes before that for all.
    fn first<T>(&mut self, key: &Key<T>, signal: Signal) -> Result<Option<Found<T>>, ProjectError> {
        let mut found = None;
        'sources: for source in &self.sources {
            for signal in [Some(signal), None] {
                found = source.get(key, signal)?;
                if found.is_some() {
                    break 'sources;
                }
            }
        }
        if let Some(found) = &found {
            let name = match found.signal {
                Some(signal) => format!("observability.{signal}.{}", key.name),
                None => format!("observability.{}", key.name),
            };
            self.show(name, (key.show)(&found.value), found.origin.clone());
        }
        Ok(found)
    }

    fn show(&mut self, key: String, value: Value, origin: SettingOrigin) {
        let shown = &mut self.resolved.shown;
        if !shown.iter().any(|setting| setting.key == key) {
            shown.push(Setting { key, value, origin });
        }
    }

    fn exporters(&mut self, signal: Signal, has_endpoint: bool) -> Result<Exporters, ProjectError> {
        let variable = variables::exporter(signal);
        let variables = self.project.user().all_variables();
        let default = if has_endpoint {
            ExporterType::Otlp
        } else {
            ExporterType::File
        };
        let (exporters, origin) = match read(variables, variable, |text| Ok(text.to_owned()))? {
            Some(text) => (self.named(variable, &text), SettingOrigin::Variable(variable)),
            None => {
                let of_signal = |said: &Observability| {
                    let own = said.of(Some(signal)).exporter.clone();
                    own.or_else(|| said.all.exporter.clone())
                };
                let found = self.in_files(of_signal);
                found.unwrap_or_else(|| (default.into(), SettingOrigin::Default))
            }
        };
        let key = format!("observability.{signal}.exporter");
        if origin != SettingOrigin::Default || has_endpoint {
            self.show(key, json!(exporters), origin);
        }
        Ok(exporters)
    }

    /// The exporters that a variable lists. One that this program does not have is left out with a warning, because the variable
    /// is for other programs too.
    fn named(&mut self, variable: &str, text: &str) -> Exporters {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut exporters = vec![ExporterType::File];
        for name in names {
            match name {
                "otlp" => exporters.push(ExporterType::Otlp),
                "console" => exporters.push(ExporterType::Console),
                "none" => {}
                other => self.resolved.warnings.push(format!(
                    "`{variable}` names the exporter `{other}`, which there is not: it can be `otlp`, `console` or `none`"
                )),
            }
        }
        Exporters::new(exporters)
    }

    /// The headers for a receiver, with their secrets.
    fn headers(
        &mut self,
        signal: Signal,
        endpoint: Option<&Found<String>>,
        certificate: Option<&Found<PathBuf>>,
    ) -> Result<OtlpHeaders, ProjectError> {
        let Some(found) = self.first(&HEADER, signal)? else {
            return Ok(OtlpHeaders::default());
        };
        if !self.wants_secrets {
            return Ok(OtlpHeaders::default());
        }
        // Whose the values are: the names of variables, or of nothing if they are the project's own.
        let mut of_user: Vec<String> = Vec::new();
        match &found.origin {
            SettingOrigin::Variable(name) => of_user.push((*name).to_owned()),
            SettingOrigin::User(_) => of_user.push("headers".to_owned()),
            _ => {}
        }
        let mut headers = BTreeMap::new();
        for (name, value) in &found.value {
            let value = if matches!(found.origin, SettingOrigin::Variable(_)) {
                value.clone()
            } else {
                self.with_secrets(&found.origin, name, value, &mut of_user)?
            };
            headers.insert(name.clone(), value);
        }
        let is_placed_by_project =
            endpoint.is_some_and(Found::is_of_project) || certificate.is_some_and(Found::is_of_project);
        if let (true, Some(name)) = (is_placed_by_project, of_user.first()) {
            let endpoint = endpoint.map_or("http://localhost:4318", |found| found.value.as_str());
            self.check_allowed(endpoint, name)?;
        }
        Ok(headers.into_iter().collect())
    }

    /// Refuses to send a value of the user's to a server that a file of the project names.
    fn check_allowed(&self, endpoint: &str, name: &str) -> Result<(), ProjectError> {
        let endpoint = Endpoint::parse(endpoint).map_err(|reason| wrong(FILE, reason.to_string()))?;
        let mut allowed = self.project.user().allowed_keys().iter();
        if allowed.any(|entry| entry == name || endpoint.is_named_by(entry)) {
            return Ok(());
        }
        Err(ProjectError::Observability {
            place: FILE.to_owned(),
            reason: format!(
                "`{name}` of yours would be sent to `{endpoint}`, which a file of the project names"
            ),
            hint: Some(
                "if you trust that server, add its host to `allow_key` in your own `config.yaml`, or set \
                 OTEL_EXPORTER_OTLP_ENDPOINT"
                    .to_owned(),
            ),
        })
    }

    /// The value of a header, with the secrets that it names.
    fn with_secrets(
        &self,
        origin: &SettingOrigin,
        name: &str,
        value: &str,
        of_user: &mut Vec<String>,
    ) -> Result<String, ProjectError> {
        let place = || origin.to_string();
        if !value.contains(SECRET) {
            if HEADERS_OF_KEYS.contains(&name.to_ascii_lowercase().as_str()) {
                return Err(ProjectError::Observability {
                    place: place(),
                    reason: format!("the header `{name}` holds a key, and keys stand in no configuration"),
                    hint: Some(format!(
                        "write `{name}: $secret{{NAME}}`, and the key into the environment variable NAME, or below \
                         `secrets` in `.dhenara/.secrets/.credentials.yaml`"
                    )),
                });
            }
            return Ok(value.to_owned());
        }
        let source = self.secret_source();
        let mut rest = value;
        let mut whole = String::new();
        while let Some((before, after)) = rest.split_once(SECRET) {
            let Some((secret, behind)) = after.split_once('}') else {
                let reason = format!("the header `{name}` has `{SECRET}` without `}}`");
                return Err(wrong(place(), reason));
            };
            let found = source.get(secret).map_err(|error| ProjectError::Observability {
                place: place(),
                reason: format!("the header `{name}`: {error}"),
                hint: error.hint(),
            })?;
            if source.stored(secret).ok().flatten().is_none() {
                of_user.push(secret.to_owned());
            }
            self.project.secrets().add(found.expose_secret());
            whole.push_str(before);
            whole.push_str(found.expose_secret());
            rest = behind;
        }
        whole.push_str(rest);
        Ok(whole)
    }

    fn secret_source(&self) -> SecretSource {
        let file = self.project.settings().credentials.as_deref();
        SecretSource::new(self.project.root(), file).variables(self.project.user().variables())
    }
}

fn user_origin(project: &Project) -> SettingOrigin {
    let dir = project.user().config_dir().unwrap_or_default();
    SettingOrigin::User(dir.join("config.yaml"))
}
