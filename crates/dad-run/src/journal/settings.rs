//! The settings that a run is driven with: recorded when it starts, and kept when it is resumed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dad_core::{Budget, Digest, RunId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The environment that holds where none is named.
pub(crate) const DEFAULT_ENVIRONMENT: &str = "default";

/// The resolved settings of a run: they are recorded when a process begins to drive the run, and the next process takes them
/// up. Credentials are no part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunSettings {
    /// The environment of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The models that every step asks in the place of those that the definition names; empty for those of the definition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The rate limits of model calls, as the client of models has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Value>,
    /// The budget, which replaces that of the definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The source of recorded answers of models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplaySource>,
    /// Whether no model is asked over a network. Of a context, `None` leaves it as it was recorded; what is recorded is `true`
    /// or nothing.
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub offline: Option<bool>,
    /// Digests of what the configuration of the environment said of the above and of variables, by the field's name: by them
    /// a later process sees that the file has changed, without taking it up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configuration: BTreeMap<String, Digest>,
}

/// Recorded exchanges that models are answered from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplaySource {
    /// Their place.
    #[serde(flatten)]
    pub from: ReplayFrom,
    /// Digest of their memos.
    pub digest: Digest,
}

impl ReplaySource {
    /// Recorded exchanges at a place, with the digest of their memos.
    #[must_use]
    pub fn new(from: ReplayFrom, digest: Digest) -> Self {
        Self { from, digest }
    }
}

/// The place of recorded exchanges. A closed set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayFrom {
    /// In the steps of a run.
    Run(RunId),
    /// In a directory laid out like one, relative to the project.
    Cassette(PathBuf),
}

#[expect(clippy::ref_option, reason = "serde passes a reference")]
fn is_not_true(offline: &Option<bool>) -> bool {
    *offline != Some(true)
}

impl RunSettings {
    /// The environment's name, as templates see it.
    #[must_use]
    pub fn environment(&self) -> &str {
        self.environment.as_deref().unwrap_or(DEFAULT_ENVIRONMENT)
    }

    /// Whether no model is asked over a network.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline == Some(true)
    }

    /// The same with what is given in the place of what was recorded, and the names of the fields that differ by it.
    pub(crate) fn overridden_by(&self, given: &Self) -> (Self, Vec<String>) {
        let recorded = self;
        // Exchanges that answer in the place of a network are left out with it.
        let replay = match given.offline {
            Some(false) => given.replay.clone(),
            _ => given.replay.clone().or_else(|| recorded.replay.clone()),
        };
        let budget = given
            .budget
            .map(|budget| recorded.budget.unwrap_or_default().overridden_by(budget));
        let models = if given.models.is_empty() {
            &recorded.models
        } else {
            &given.models
        };
        let configuration = if given.environment.is_some() {
            &given.configuration
        } else {
            &recorded.configuration
        };
        let settings = Self {
            environment: given.environment.clone().or_else(|| recorded.environment.clone()),
            models: models.clone(),
            limits: given.limits.clone().or_else(|| recorded.limits.clone()),
            budget: budget.or(recorded.budget).filter(|budget| !budget.is_unlimited()),
            replay,
            offline: given.offline.or(recorded.offline),
            configuration: configuration.clone(),
        };
        let differs = [
            ("environment", settings.environment() != recorded.environment()),
            ("models", settings.models != recorded.models),
            ("limits", settings.limits != recorded.limits),
            ("budget", settings.budget != recorded.budget),
            ("replay", settings.replay != recorded.replay),
            ("offline", settings.is_offline() != recorded.is_offline()),
        ];
        let differing = differs.into_iter().filter(|(_, differs)| *differs);
        (settings, differing.map(|(name, _)| name.to_owned()).collect())
    }

    /// The same as it is recorded: with the name of the environment that holds where none was named.
    pub(crate) fn resolved(mut self) -> Self {
        self.environment = Some(self.environment().to_owned());
        self.budget = self.budget.filter(|budget| !budget.is_unlimited());
        self.offline = self.offline.filter(|offline| *offline);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> RunSettings {
        RunSettings {
            environment: Some("ci".to_owned()),
            budget: "calls=2,tokens=10".parse().ok(),
            replay: Some(ReplaySource {
                from: ReplayFrom::Cassette("cassettes/a".into()),
                digest: Digest::of(b""),
            }),
            offline: Some(true),
            ..RunSettings::default()
        }
    }

    #[test]
    fn what_is_not_given_stays_and_what_is_given_is_named() {
        let (same, overrides) = recorded().overridden_by(&RunSettings::default());
        assert_eq!((same, overrides), (recorded(), Vec::new()));
        let given = RunSettings {
            budget: "calls=3".parse().ok(),
            models: vec!["a/b".to_owned()],
            ..RunSettings::default()
        };
        let (settings, overrides) = recorded().overridden_by(&given);
        assert_eq!(settings.budget, "calls=3,tokens=10".parse().ok());
        assert!(settings.is_offline() && settings.replay.is_some());
        assert_eq!(overrides, ["models", "budget"]);
    }

    #[test]
    fn going_online_leaves_the_recorded_answers() {
        let given = RunSettings {
            environment: Some("default".to_owned()),
            offline: Some(false),
            ..RunSettings::default()
        };
        let (settings, overrides) = recorded().overridden_by(&given);
        assert_eq!((settings.replay.clone(), settings.is_offline()), (None, false));
        assert_eq!(overrides, ["environment", "replay", "offline"]);
        let json = serde_json::to_value(settings).unwrap();
        assert_eq!(json.get("offline"), None);
    }

    #[test]
    fn recorded_exchanges_say_where_they_stand() {
        let json = serde_json::to_value(recorded()).unwrap();
        assert_eq!(json["replay"]["cassette"], "cassettes/a");
        assert_eq!(serde_json::from_value::<RunSettings>(json).unwrap(), recorded());
    }
}
