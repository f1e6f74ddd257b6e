//! Work inside a step that shows on its own in a trace.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use dad_core::{Clean, ErrorInfo, HierarchyPath, Redactor};
use dad_events::{Activity, ActivityEnd, ActivityId};
use serde_json::Value;

use crate::node::context::NodeContext;
use crate::node::error::NodeError;
use crate::node::lifetime::CANCELLED;
use crate::session::Session;

/// Work inside a step that has begun, from [`NodeContext::begin`]. It ends when [`end`](Self::end) says how; if it is dropped
/// before, it ends as cancelled.
#[must_use = "work that is dropped at once ends as cancelled"]
pub struct RunningActivity {
    session: Arc<Session>,
    path: HierarchyPath,
    id: ActivityId,
    activity: Arc<Activity>,
    began: Instant,
    is_ended: bool,
}

impl RunningActivity {
    pub(crate) fn begin(
        session: &Arc<Session>,
        path: &HierarchyPath,
        parent: Option<ActivityId>,
        activity: Activity,
    ) -> Self {
        let activity = Arc::new(masked_activity(activity, &session.run.secrets().redactor()));
        let id = session.driver.activity_started(path, parent, &activity);
        Self {
            session: Arc::clone(session),
            path: path.clone(),
            id,
            activity,
            began: Instant::now(),
            is_ended: false,
        }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> ActivityId {
        self.id
    }

    /// Since it began.
    #[must_use]
    pub fn elapsed(&self) -> std::time::Duration {
        self.began.elapsed()
    }

    /// Ends it. Known secrets in what it says are masked.
    pub fn end(mut self, end: ActivityEnd) {
        self.tell_end(end);
    }

    /// Ends it with an error.
    pub fn fail(self, error: &NodeError) {
        self.end(ActivityEnd::failed(error.info.clone()));
    }

    fn tell_end(&mut self, mut end: ActivityEnd) {
        self.is_ended = true;
        mask_end(&mut end, &self.session.run.secrets().redactor());
        let driver = &self.session.driver;
        driver.activity_ended(&self.path, self.id, &self.activity, self.began.elapsed(), end);
    }
}

impl Drop for RunningActivity {
    fn drop(&mut self) {
        if !self.is_ended {
            let error = ErrorInfo::new(CANCELLED, "it was given up before its end");
            self.tell_end(ActivityEnd::failed(error));
        }
    }
}

impl std::fmt::Debug for RunningActivity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningActivity")
            .field("path", &self.path)
            .field("activity", &self.activity)
            .finish_non_exhaustive()
    }
}

/// An activity without known secrets: parts of it may come from a provider or a model.
fn masked_activity(activity: Activity, redactor: &Redactor) -> Activity {
    match activity {
        Activity::ModelCall(mut call) => {
            let texts = [&mut call.provider, &mut call.model].into_iter();
            texts
                .chain(&mut call.server_address)
                .chain(&mut call.stop_sequences)
                .chain(&mut call.reasoning_level)
                .for_each(|text| mask(text, redactor));
            if let Some(content) = call.content.as_mut().map(Arc::make_mut) {
                [&mut content.system, &mut content.messages, &mut content.tools]
                    .into_iter()
                    .for_each(|part| mask_value(part, redactor));
            }
            Activity::ModelCall(call)
        }
        Activity::ToolCall(mut call) => {
            let texts = [&mut call.name].into_iter();
            texts
                .chain(&mut call.call_id)
                .chain(&mut call.description)
                .for_each(|text| mask(text, redactor));
            call.arguments.iter_mut().for_each(|of| mask_shared(of, redactor));
            Activity::ToolCall(call)
        }
        Activity::Command(mut command) => {
            mask(&mut command.program, redactor);
            command.line = command.line.map(|line| redactor.redact(&line).into());
            Activity::Command(command)
        }
        Activity::FileOperation(mut operations) => {
            let texts = operations.operation.iter_mut().chain(&mut operations.file);
            texts.for_each(|text| mask(text, redactor));
            Activity::FileOperation(operations)
        }
        other => other,
    }
}

/// Masks known secrets in what the end of an activity says.
fn mask_end(end: &mut ActivityEnd, redactor: &Redactor) {
    end.error = end
        .error
        .take()
        .map(|error| Clean::redact(error, redactor).into_inner());
    if let Some(answer) = &mut end.answer {
        let texts = [&mut answer.model, &mut answer.finish_reason].into_iter();
        texts.chain(&mut answer.id).for_each(|text| mask(text, redactor));
        answer
            .messages
            .iter_mut()
            .for_each(|of| mask_shared(of, redactor));
    }
    end.result.iter_mut().for_each(|of| mask_shared(of, redactor));
}

fn mask(text: &mut String, redactor: &Redactor) {
    if let Cow::Owned(masked) = redactor.redact(text) {
        *text = masked;
    }
}

fn mask_shared(value: &mut Arc<Value>, redactor: &Redactor) {
    mask_value(Arc::make_mut(value), redactor);
}

fn mask_value(value: &mut Value, redactor: &Redactor) {
    *value = Clean::redact(std::mem::take(value), redactor).into_inner();
}

impl NodeContext {
    /// Begins work that shows on its own in the trace of the run: a request to a model, a call of a tool, a command. Known secrets in
    /// what it says are masked.
    ///
    /// ```
    /// use dad_events::activity::Command;
    /// use dad_events::{Activity, ActivityEnd};
    /// use dad_runner::{NodeContext, NodeError};
    ///
    /// async fn compress(_: (), cx: NodeContext) -> Result<(), NodeError> {
    ///     let running = cx.begin(Activity::Command(Command::new("gzip")));
    ///     // … the work …
    ///     running.end(ActivityEnd::default().exit_code(0));
    ///     Ok(())
    /// }
    /// # dad_runner::NodeRegistry::new().callback("compress", compress);
    /// ```
    pub fn begin(&self, activity: Activity) -> RunningActivity {
        RunningActivity::begin(&self.session, self.path(), self.activity, activity)
    }

    /// The same context for work that is a part of an activity.
    #[must_use]
    pub fn within(&self, activity: &RunningActivity) -> Self {
        let mut within = self.clone();
        within.activity = Some(activity.id());
        within
    }

    /// Whether an observer of the run uses the content of calls: prompts, answers, arguments and results.
    #[must_use]
    pub fn wants_content(&self) -> bool {
        self.session.driver.bus().wants_content()
    }
}
