//! Fingerprints, by which a re-run recognises the steps that would do the same again.

use dad_core::{CanonicalObject, Digest, Fingerprint, HierarchyPath, NodeType};
use dad_definition::NodeElement;
use dad_run::reuse::{FingerprintMatch, Normaliser};
use dad_run::{RunView, StepCommitted};
use serde_json::{Value, json};

use crate::node::traits::{BoundStep, World};
use crate::render::evaluate::Rendered;

/// The dependencies of a step's result.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprinted<'a> {
    pub(crate) node_type: &'a NodeType,
    pub(crate) version: u32,
    pub(crate) rendered: &'a Rendered,
    pub(crate) input: Option<&'a Value>,
    pub(crate) world: &'a World,
}

impl Fingerprinted<'_> {
    /// The fingerprint, the same in whichever run the step stands. `salt` is that of the run: the values of environment
    /// variables must not be guessed from it.
    pub(crate) fn fingerprint(
        &self,
        normaliser: &Normaliser,
        bound: &dyn BoundStep,
        salt: &str,
    ) -> Fingerprint {
        let prepared = self.rendered.prepared.as_ref();
        let values = prepared.map(|prepared| &prepared.values);
        let values = values.filter(|values| !values.is_null());
        let environment = bound.environment();
        let environment = (!environment.is_empty()).then(|| salted(salt, &environment));
        Fingerprint::new(self.digest(normaliser, &self.rendered.settings, values, environment))
    }

    /// The fingerprint of the first version, in which compiled forms stood among the settings.
    pub(crate) fn first_version(&self, normaliser: &Normaliser, bound: &dyn BoundStep) -> Fingerprint {
        let settings = bound.formerly_fingerprinted(&self.rendered.settings);
        let settings = settings.as_ref().unwrap_or(&self.rendered.settings);
        Fingerprint::first_version(self.digest(normaliser, settings, None, None))
    }

    fn digest(
        &self,
        normaliser: &Normaliser,
        settings: &Value,
        prepared: Option<&Value>,
        environment: Option<Digest>,
    ) -> Digest {
        let mut document = CanonicalObject::new();
        if let Some(environment) = environment {
            document.text("environment", &environment.to_string());
        }
        let input = self.input.map_or(Value::Null, |input| normaliser.value(input));
        document.field("input", &input);
        document.text("node_type", self.node_type.as_str());
        if let Some(prepared) = prepared {
            document.field("prepared", &normaliser.value(prepared));
        }
        document.field("settings", &normaliser.value(settings));
        document.field("version", &self.version.into());
        match self.world {
            World::Pure => document.text("world", "pure"),
            World::Reads(reads) => document.field("world", &json!({ "reads": reads.digest() })),
            World::Effect => document.text("world", "effect"),
        };
        document.digest()
    }
}

/// Stands for the values of environment variables.
fn salted(salt: &str, environment: &[(String, Option<String>)]) -> Digest {
    Digest::of_json(&json!({ "salt": salt, "environment": environment }))
}

/// The result of the previous run that fits a step, with the comparison of its fingerprint. Runs of earlier versions recorded
/// fingerprints of the first version.
pub(crate) fn fitting<'a>(
    parent: &'a RunView,
    path: &HierarchyPath,
    node: &NodeElement,
    fingerprint: Fingerprint,
    first_version: impl FnOnce() -> Fingerprint,
) -> (Option<&'a StepCommitted>, FingerprintMatch) {
    let on_error = node.options.on_error;
    let found = parent.fitting(path, fingerprint, on_error);
    match found.1 {
        FingerprintMatch::Differs if parent.has_first_fingerprints() => {
            parent.fitting(path, first_version(), on_error)
        }
        FingerprintMatch::Differs => found,
        FingerprintMatch::Same | FingerprintMatch::OtherIteration => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normaliser(run: &str) -> Normaliser {
        Normaliser::new(&[
            (format!("/p/runs/{run}"), "run_dir"),
            (run.to_owned(), "run_id"),
            ("/p/runs".to_owned(), "run_root"),
            ("/p".to_owned(), "project_root"),
        ])
    }

    fn of(run: &str, world: &World) -> Digest {
        let settings = json!({"prompt": format!("see /p/runs/{run}/x of {run}, not /p/runs/shared")});
        let rendered = Rendered {
            settings,
            prepared: None,
            reads: Vec::new(),
        };
        let fingerprinted = Fingerprinted {
            node_type: &NodeType::AI_MODEL_CALL,
            version: 1,
            rendered: &rendered,
            input: None,
            world,
        };
        fingerprinted.digest(&normaliser(run), &rendered.settings, None, None)
    }

    fn reads(stamp: &str) -> World {
        World::Reads([("file".to_owned(), stamp.to_owned())].into_iter().collect())
    }

    #[test]
    fn run_id_and_directory_do_not_count() {
        assert_eq!(of("run_1", &World::Pure), of("run_2", &World::Pure));
        assert_ne!(of("run_1", &World::Pure), of("run_1", &World::Effect));
        assert_ne!(of("run_1", &reads("a")), of("run_1", &reads("b")));
    }
}
