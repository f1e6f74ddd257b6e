//! `dhenara trace`: the traces of runs for other tools.

pub(crate) mod convert;

use clap::Subcommand;

use crate::commands::Execute;
use crate::commands::trace::convert::ConvertArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    Convert(ConvertArgs),
}

impl TraceCommand {
    pub(crate) fn arguments(&self) -> &dyn Execute {
        match self {
            Self::Convert(arguments) => arguments,
        }
    }
}
