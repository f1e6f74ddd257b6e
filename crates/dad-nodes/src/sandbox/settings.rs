//! The settings of a sandbox, of a command and of its user.

use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::settings_node::setters;

/// The parts of the system that a command sees and may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Sandbox {
    /// Whether it executes in a sandbox, without network.
    Switch(bool),
    /// The parts that it sees and may change beside the usual ones.
    Bounds(SandboxBounds),
}

impl From<bool> for Sandbox {
    fn from(switch: bool) -> Self {
        Self::Switch(switch)
    }
}

impl From<SandboxBounds> for Sandbox {
    fn from(bounds: SandboxBounds) -> Self {
        Self::Bounds(bounds)
    }
}

/// The parts of the system that a command in a sandbox sees and may change beside its working directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct SandboxBounds {
    /// Whether it uses the network of this machine, which includes the servers on it; false by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// Files and directories that it may change, beside its working directory. Relative ones are taken from that, `~/` from
    /// the home directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub write: Vec<String>,
    /// Files and directories that it may read, beside the system's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub read: Vec<String>,
    /// The visible part of the home directory; nothing by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub home: Option<SandboxHome>,
}

setters! {
    impl SandboxBounds {
        list write: String;
        list read: String;
    }
}

/// The visible part of the home directory for a command in a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SandboxHome {
    /// An empty one, which is gone with the command.
    #[default]
    None,
    /// All of it but known places of credentials; it changes nothing there.
    Read,
}

/// By hand, so that the error names the key that is wrong.
impl<'de> Deserialize<'de> for Sandbox {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match &value {
            Value::Bool(on) => Ok(Self::Switch(*on)),
            bounds => SandboxBounds::deserialize(bounds)
                .map(Self::Bounds)
                .map_err(serde::de::Error::custom),
        }
    }
}

impl Sandbox {
    pub(super) fn bounds(&self) -> Option<SandboxBounds> {
        match self {
            Self::Switch(on) => on.then(SandboxBounds::default),
            Self::Bounds(bounds) => Some(bounds.clone()),
        }
    }
}

/// Which commands of a user's runs execute in a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SandboxMode {
    /// None, whatever definitions say.
    Off,
    /// Those that definitions say.
    #[default]
    Auto,
    /// All.
    Required,
}
