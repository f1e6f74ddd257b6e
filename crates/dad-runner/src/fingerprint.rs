use dad_core::{Digest, NodeType};
use dad_run::Normaliser;
use serde_json::{Value, json};

use crate::node::World;

/// The digest of all that decides what a step does, whichever run it stands in.
#[must_use]
pub(crate) fn fingerprint(
    normaliser: &Normaliser,
    (node_type, version): (&NodeType, u32),
    settings: &Value,
    input: Option<&Value>,
    world: &World,
) -> Digest {
    let world = match world {
        World::Pure => json!("pure"),
        World::Reads(reads) => json!({ "reads": reads.digest() }),
        World::Effect => json!("effect"),
    };
    Digest::of_json(&json!({
        "node_type": node_type,
        "version": version,
        "settings": normaliser.value(settings),
        "input": input.map(|input| normaliser.value(input)),
        "world": world,
    }))
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
        fingerprint(
            &normaliser(run),
            (&NodeType::AI_MODEL_CALL, 1),
            &settings,
            None,
            world,
        )
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
