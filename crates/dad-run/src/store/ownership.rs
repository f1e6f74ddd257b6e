//! The check that a run is the user's own, before anything obeys it.

use crate::error::SetupError;
use crate::origin::Origin;
use crate::store::view::RunView;

impl RunView {
    /// Refuses a run that is not the user's: its maker decided what resuming it executes. `unsigned` allows unsigned
    /// runs.
    ///
    /// # Errors
    /// [`SetupError::ForeignRun`] with where it was driven.
    pub fn check_origin(&self, unsigned: bool) -> Result<(), SetupError> {
        match self.origin() {
            Origin::Mine => return Ok(()),
            Origin::Unsigned if unsigned => return Ok(()),
            _ => {}
        }
        let session = self.progress().tally.session.as_deref();
        Err(SetupError::ForeignRun {
            run: self.name().into_owned(),
            dir: self.dir().to_path_buf(),
            origin: self.origin(),
            host: session.map(|session| session.host.clone()),
            driven_in: session.map(|session| session.run_dir.clone()),
        })
    }
}
