//! Waiting for a descriptor where the process, or the whole machine, has none left.

use std::io;
use std::time::{Duration, Instant};

/// The longest wait for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether something could not be opened because no descriptor is left.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    let codes = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
    // ERROR_TOO_MANY_OPEN_FILES
    #[cfg(not(unix))]
    let codes = [4];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Opens something, and tries again for a while as long as no descriptor is left: others may close theirs. It blocks, which is
/// better than to lose what a step has done.
pub(crate) fn patiently<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut since = None;
    loop {
        match open() {
            Err(error) if is_out_of_descriptors(&error) => {
                let since = since.get_or_insert_with(|| {
                    tracing::warn!(%error, "no file can be opened; it is tried for {} s", PATIENCE.as_secs());
                    Instant::now()
                });
                if since.elapsed() >= PATIENCE {
                    return Err(error);
                }
                std::thread::sleep(PAUSE);
            }
            opened => return opened,
        }
    }
}
