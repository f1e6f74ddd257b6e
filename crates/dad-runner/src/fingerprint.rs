//! Fingerprints: by them a re-run knows the steps that would do the same again.

use dad_core::{Digest, HierarchyPath, NodeType};
use dad_definition::NodeElement;
use dad_run::{Fit, Normaliser, RunView, StepCommitted};
use serde_json::{Value, json};

use crate::evaluate::Rendered;
use crate::node::{BoundStep, World};

/// All that decides what a step does.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprinted<'a> {
    pub(crate) node_type: &'a NodeType,
    pub(crate) version: u32,
    pub(crate) rendered: &'a Rendered,
    pub(crate) input: Option<&'a Value>,
    pub(crate) world: &'a World,
}

impl Fingerprinted<'_> {
    /// Its digest, the same in whichever run the step stands.
    pub(crate) fn digest(&self, normaliser: &Normaliser) -> Digest {
        let prepared = self.rendered.prepared.as_ref();
        let values = prepared
            .map(|prepared| &prepared.values)
            .filter(|values| !values.is_null());
        self.digest_with(normaliser, &self.rendered.settings, values)
    }

    /// The digest that runs recorded while compiled forms stood among the settings, if it was another one.
    pub(crate) fn former_digest(&self, normaliser: &Normaliser, bound: &dyn BoundStep) -> Option<Digest> {
        let settings = bound.formerly_fingerprinted(&self.rendered.settings)?;
        Some(self.digest_with(normaliser, &settings, None))
    }

    fn digest_with(&self, normaliser: &Normaliser, settings: &Value, prepared: Option<&Value>) -> Digest {
        let world = match self.world {
            World::Pure => json!("pure"),
            World::Reads(reads) => json!({ "reads": reads.digest() }),
            World::Effect => json!("effect"),
        };
        let mut document = json!({
            "node_type": self.node_type,
            "version": self.version,
            "settings": normaliser.value(settings),
            "input": self.input.map(|input| normaliser.value(input)),
            "world": world,
        });
        if let Some(prepared) = prepared {
            document["prepared"] = normaliser.value(prepared);
        }
        Digest::of_json(&document)
    }
}

/// The result of the previous run that fits a step, by its fingerprint or by the one that it had formerly.
pub(crate) fn fitting<'a>(
    parent: &'a RunView,
    path: &HierarchyPath,
    node: &NodeElement,
    (fingerprint, former): (Digest, impl FnOnce() -> Option<Digest>),
) -> (Option<&'a StepCommitted>, Fit) {
    let on_error = node.options.on_error;
    let found = parent.fitting(path, fingerprint, on_error);
    match found.1 {
        Fit::Differs => former().map_or(found, |former| parent.fitting(path, former, on_error)),
        Fit::Same | Fit::OtherIteration => found,
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
        fingerprinted.digest(&normaliser(run))
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
