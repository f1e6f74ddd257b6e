//! `dhenara trace`: the traces of runs for other tools.

pub(crate) mod convert;
pub(crate) mod push;

use clap::Subcommand;

use crate::commands::Execute;
use crate::commands::trace::convert::ConvertArgs;
use crate::commands::trace::push::PushArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    Push(PushArgs),
    Convert(ConvertArgs),
}

impl TraceCommand {
    pub(crate) fn arguments(&self) -> &dyn Execute {
        match self {
            Self::Push(arguments) => arguments,
            Self::Convert(arguments) => arguments,
        }
    }
}
