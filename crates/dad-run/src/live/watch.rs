//! The task that watches the inbox and the application's stop while a run is driven.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dad_events::{EventBody, RunStarted};

use crate::error::RunError;
use crate::journal::record::RecordBody;
use crate::live::handle::RunHandle;
use crate::live::shared::RunShared;
use crate::rerun::plan::RerunPlan;
use crate::store::message::{Answer, MessageBody};

/// The interval between looks into the inbox.
const INBOX_INTERVAL: Duration = Duration::from_millis(250);

/// Does what the application and other processes ask for, until the run has ended.
pub(crate) async fn watch_inbox(run: Weak<RunShared>) {
    loop {
        let Some(run) = run.upgrade() else { return };
        if run.ended.load(Ordering::Acquire) {
            return;
        }
        let is_stopped = run.is_stopped();
        let is_ended = run.ended_at_once.is_cancelled();
        run.read_inbox();
        let stop = run.stop.clone();
        drop(run);
        tokio::select! {
            () = tokio::time::sleep(INBOX_INTERVAL) => {}
            () = stop.stopping().asked(), if !is_stopped => {}
            () = stop.ending().asked(), if !is_ended => {}
        }
    }
}

impl RunShared {
    /// Does what other processes have asked for since the last look: a run looks several times a second, and at once
    /// before it comes to rest. Trouble with one message delays that message alone.
    pub(crate) fn read_inbox(&self) {
        let mut inbox = self.inbox.lock();
        let messages = match inbox.new_messages(&self.dot_run) {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(%error, "the messages to the run cannot be read");
                return;
            }
        };
        for received in messages {
            let message = &received.message;
            if let MessageBody::Cancel { path } = &message.body {
                match self.cancel(path.as_ref(), &message.source) {
                    Ok(()) | Err(RunError::Ended) => {}
                    Err(error) => {
                        if inbox.warns_of(&received) {
                            tracing::warn!(%error, "a cancel is obeyed, and cannot be recorded yet");
                        }
                        inbox.put_back(&received);
                    }
                }
            } else if let Some((question, answer)) = Answer::of(received.message) {
                self.state().answers.insert(question, answer);
                self.answer_came.notify_waiters();
            }
        }
    }
}

impl RunHandle {
    /// Begins to execute the run: the record of the driver, and the event.
    pub(crate) fn start(&self) -> Result<(), RunError> {
        let session = self.inner().session();
        let resumed = self.history().is_some();
        let event = EventBody::RunStarted(
            RunStarted::new(self.inner().reader.program.steps().count())
                .resumed(resumed)
                .plan(self.inner().plan.as_ref().map(RerunPlan::summary)),
        );
        let body = if resumed {
            RecordBody::RunResumed(session)
        } else {
            RecordBody::RunStarted(session)
        };
        self.inner().record(&body, Some(event))?;
        tokio::spawn(watch_inbox(Weak::clone(&self.inner().this)));
        Ok(())
    }
}
