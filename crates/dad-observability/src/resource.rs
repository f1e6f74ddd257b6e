//! The resource of a run's signals: the program and the machine that they come from.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::otlp::attribute;
use crate::settings::ObservabilitySettings;

/// The attributes of the resource, made once for a session of a run.
#[derive(Clone, Debug)]
pub(crate) struct ResourceFacts {
    attributes: BTreeMap<String, String>,
    process_id: i64,
}

impl ResourceFacts {
    /// The facts about this process, and those that the settings add or replace.
    pub(crate) fn new(settings: &ObservabilitySettings, run_id: &str) -> Self {
        let process_id = std::process::id();
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(|path| path.file_name());
        let found = [
            ("service.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
            ("service.instance.id", Some(format!("{run_id}.{process_id}"))),
            (
                "host.name",
                Some(gethostname::gethostname().to_string_lossy().into_owned()),
            ),
            ("host.arch", Some(architecture().to_owned())),
            ("os.type", Some(operating_system().to_owned())),
            (
                "process.executable.name",
                program.map(|name| name.to_string_lossy().into_owned()),
            ),
            ("process.runtime.name", Some("rust".to_owned())),
            ("telemetry.sdk.name", Some("dhenara".to_owned())),
            ("telemetry.sdk.language", Some("rust".to_owned())),
            (
                "telemetry.sdk.version",
                Some(env!("CARGO_PKG_VERSION").to_owned()),
            ),
        ];
        let found = found
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let mut attributes: BTreeMap<String, String> = found.collect();
        attributes.extend(settings.resource_attributes.clone());
        attributes.insert("service.name".to_owned(), settings.service_name.clone());
        attributes.insert(crate::names::RUN_ID.to_owned(), run_id.to_owned());
        Self {
            attributes,
            process_id: process_id.into(),
        }
    }

    /// The facts as a resource.
    pub(crate) fn resource(&self) -> Resource {
        let texts = self.attributes.iter();
        let attributes = texts
            .map(|(name, value)| attribute(name, value.clone()))
            .chain([attribute("process.pid", self.process_id)])
            .collect();
        Resource {
            attributes,
            ..Resource::default()
        }
    }
}

/// The architecture of the machine, by the names of the semantic conventions.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// The operating system, by the names of the semantic conventions.
fn operating_system() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}
