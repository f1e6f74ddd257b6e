//! Notes about replayed exchanges, printed among the lines of the tree that they belong to.

use std::sync::Arc;

use async_trait::async_trait;
use dad_events::{Event, EventBody, RunInfo, RunObserver};
use dad_models::ReplayNote;
use dad_terminal::Progress;
use parking_lot::Mutex;

/// The growing tree of a run, with the notes of a step before its line: the tree is shown a little later than things
/// happen, so a note that was printed at once would come before the component of its step.
#[derive(Debug, Default)]
pub(crate) struct NotedProgress {
    progress: Progress,
    notes: Notes,
}

/// The notes that wait until the tree has reached their step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<ReplayNote>>>);

impl Notes {
    pub(crate) fn add(&self, note: ReplayNote) {
        self.0.lock().push(note);
    }

    fn take(&self, belongs: impl Fn(&ReplayNote) -> bool) -> Vec<ReplayNote> {
        let mut notes = self.0.lock();
        notes.extract_if(.., |note| belongs(note)).collect()
    }
}

impl NotedProgress {
    pub(crate) fn new(notes: Notes) -> Self {
        Self {
            progress: Progress::new(),
            notes,
        }
    }

    fn print(&self, belongs: impl Fn(&ReplayNote) -> bool) {
        for note in self.notes.take(belongs) {
            self.progress.print(&format!("note: {note}"));
        }
    }
}

#[async_trait]
impl RunObserver for NotedProgress {
    fn name(&self) -> &str {
        self.progress.name()
    }

    async fn start(&self, run: &Arc<RunInfo>) {
        self.progress.start(run).await;
    }

    async fn observe(&self, events: &[Arc<Event>]) {
        for event in events {
            let path = match &event.body {
                EventBody::AttemptFailed(failed) => Some(&failed.path),
                EventBody::StepEnded(ended) => Some(&ended.path),
                _ => None,
            };
            if let Some(path) = path {
                self.print(|note| note.path == path.as_str());
            }
            self.progress.observe(std::slice::from_ref(event)).await;
        }
    }

    async fn finish(&self) -> Vec<String> {
        self.print(|_| true);
        self.progress.finish().await
    }
}
