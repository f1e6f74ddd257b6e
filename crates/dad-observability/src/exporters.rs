//! The exporters of an observer, or the warning that this program was built without them.

#[cfg(feature = "otlp")]
pub(crate) use with::Exporters;
#[cfg(not(feature = "otlp"))]
pub(crate) use without::Exporters;

#[cfg(feature = "otlp")]
mod with {
    //! Exporters as tasks beside the run.

    use std::fmt;
    use std::sync::Arc;

    use dad_events::RunInfo;
    use parking_lot::Mutex;

    use crate::export::{Followers, Print};
    use crate::settings::ObservabilitySettings;

    /// The exporters of one run, from its start to its end.
    pub(crate) struct Exporters {
        running: Mutex<Option<Followers>>,
        print: Print,
    }

    impl Exporters {
        pub(crate) fn print_with(&mut self, print: impl Fn(&str) + Send + Sync + 'static) {
            self.print = Arc::new(print);
        }

        /// Starts them, and returns why they cannot be, for people.
        pub(crate) fn start(&self, settings: &ObservabilitySettings, run: &RunInfo) -> Option<String> {
            match Followers::start(settings, run, &self.print) {
                Ok(followers) => {
                    *self.running.lock() = followers;
                    None
                }
                Err(error) => Some(format!("nothing is exported: {error}")),
            }
        }

        /// Says that there are new lines.
        pub(crate) fn wake(&self) {
            if let Some(followers) = &*self.running.lock() {
                followers.wake();
            }
        }

        /// Waits for them a few seconds, and returns what went wrong, for people.
        pub(crate) async fn finish(&self) -> Vec<String> {
            let followers = self.running.lock().take();
            match followers {
                Some(followers) => followers.finish().await,
                None => Vec::new(),
            }
        }
    }

    impl Default for Exporters {
        fn default() -> Self {
            Self {
                running: Mutex::default(),
                print: Arc::new(print_to_standard_error),
            }
        }
    }

    #[expect(
        clippy::print_stderr,
        reason = "an application that has a terminal of its own gives another function"
    )]
    fn print_to_standard_error(line: &str) {
        eprintln!("{line}");
    }

    impl fmt::Debug for Exporters {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Exporters")
                .field("running", &self.running)
                .finish_non_exhaustive()
        }
    }
}

#[cfg(not(feature = "otlp"))]
mod without {
    //! No exporters.

    use dad_events::RunInfo;

    use crate::settings::{ExporterType, ObservabilitySettings, Signal};

    /// The exporters of a program that was built without any.
    #[derive(Debug, Default)]
    pub(crate) struct Exporters;

    impl Exporters {
        #[expect(
            clippy::unused_self,
            clippy::needless_pass_by_value,
            reason = "the other form needs them"
        )]
        pub(crate) fn print_with(&mut self, _: impl Fn(&str) + Send + Sync + 'static) {}

        /// Returns that nothing is exported, if something was to be.
        #[expect(clippy::unused_self, reason = "the other form needs it")]
        pub(crate) fn start(&self, settings: &ObservabilitySettings, _: &RunInfo) -> Option<String> {
            let is_file = |exporter: &ExporterType| *exporter == ExporterType::File;
            let wants_more = |signal: &Signal| !settings.exporters(*signal).iter().all(is_file);
            let is_unmet = Signal::ALL.iter().any(wants_more);
            is_unmet.then(|| {
                "nothing is exported: this program was built without the feature `otlp` of `dad-observability`"
                    .to_owned()
            })
        }

        #[expect(clippy::unused_self, reason = "the other form needs it")]
        pub(crate) fn wake(&self) {}

        #[expect(
            clippy::unused_self,
            clippy::unused_async,
            reason = "the other form needs them"
        )]
        pub(crate) async fn finish(&self) -> Vec<String> {
            Vec::new()
        }
    }
}
