//! One step, from its place to its announcement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dad_core::json::check_recorded;
use dad_core::{
    Clean, Digest, ErrorInfo, Fingerprint, FirstFailure, HierarchyPath, RuleDecision, StepResult, StepStatus,
    StepValues, Timestamp, Usage,
};
use dad_definition::{Intended, NodeElement};
use dad_run::driver::{CommitDetails, StepStart};
use dad_run::layout::{RESULT, WORLD};
use dad_run::{
    Changes, Compared, Facts, Known, Reason, RunError, Settled, Side, StepCommitted, Totals, Verdict, decide,
    origin_of,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::ask::approval::{Agreement, Approval, Intent};
use crate::ask::input::{Asker, AskingPlace, Input, carry_input, input};
use crate::concurrency::room::Room;
use crate::flow::component::{Ended, Inside, Walk};
use crate::node::erased::ErasedNode;
use crate::node::error::{MOST_ASKED, NodeError};
use crate::node::lifetime::CANCELLED;
use crate::node::output::CleanOutput;
use crate::node::traits::{BindContext, Bound, BoundStep, Preview, ReadSet, World};
use crate::render::evaluate::Rendered;
use crate::step::attempt::{Attempt, Executed, Execution, FailureKind};
use crate::step::fingerprint::{Fingerprinted, fitting};
use crate::step::stop::absorbs;

/// What was decided about a step, and why.
pub(crate) struct Decided<'a> {
    verdict: Verdict,
    pub(crate) reason: Reason,
    /// What the parent run has of it.
    known: Option<&'a StepCommitted>,
    /// The step that had an effect before it.
    pub(crate) after: Option<HierarchyPath>,
}

/// A step on its way.
pub(crate) struct Step<'a> {
    pub(crate) walk: &'a Arc<Walk>,
    pub(crate) node: &'a NodeElement,
    /// Its place in the run.
    pub(crate) path: HierarchyPath,
    pub(crate) inside: Inside<'a>,
    /// Fires when the step is to stop.
    pub(crate) stop: CancellationToken,
    pub(crate) room: Arc<Room>,
    created_at: Timestamp,
}

/// Has a step's descriptors given back when it has ended, whatever still knows of it.
struct FilesClosed<'a>(&'a Room);

impl Drop for FilesClosed<'_> {
    fn drop(&mut self) {
        self.0.close_files();
    }
}

/// Takes one step along the road.
pub(crate) async fn take_step(
    walk: &Arc<Walk>,
    node: &NodeElement,
    path: HierarchyPath,
    inside: Inside<'_>,
) -> Result<Ended, RunError> {
    let step = Step {
        stop: inside.stop.child_token(),
        room: Room::new(inside.branch, &walk.descriptors),
        walk,
        node,
        path,
        inside,
        created_at: walk.run.now(),
    };
    let _stoppable = walk
        .driver
        .stoppable(&step.path, &step.stop, inside.phase.shield());
    let mut busy = walk.busy.step(&step.room);
    let _files = FilesClosed(&step.room);
    walk.driver.bus().caught_up().await;

    // Place: what is committed in this run stays; before the entry point of a re-run the recorded result counts.
    if let Some(ended) = walk.committed_before(node, &step.path, inside.phase) {
        return Ok(ended);
    }
    if let Some(settled) = walk.driver.settled(&step.path) {
        return step.settle(settled);
    }
    if step.stop.is_cancelled() {
        return step.rest(StepStatus::Cancelled);
    }
    if inside.side == Side::Before {
        // A re-run of this one is to find it here.
        carry_input(&walk.driver, &step.path)?;
        return step.reuse(&step.path, Reason::BeforeEntryPoint);
    }
    // Input: for deciding whether the step can be reused nobody has to be asked twice.
    let mut input = match input(walk, step.asking_place(), &mut busy, &step.stop).await? {
        Input::Is(input) => input,
        Input::Fails(error) => return step.fail_before_execution(None, error),
        Input::Denied(reason) => return step.settle(Settled::Failed(Some(reason))),
        Input::Pending(status) => return step.rest(status),
    };
    let executor = step.executor()?;
    let mut asked_again = 0;
    let (rendered, bound, world, fingerprint, decided, agreed) = loop {
        if !step.room.opens_files() && step.unless_stopped(step.room.open_files()).await.is_none() {
            return step.rest(StepStatus::Cancelled);
        }
        // Render.
        let given = input.as_ref().map(Clean::get);
        let rendered = match step.render(given) {
            Ok(rendered) => rendered,
            Err(error) => return step.fail_before_execution(input, error),
        };
        // Fingerprint.
        let bound = step.bind(&*executor, &rendered, given);
        let (bound, world) = match step.unless_stopped(bound).await {
            Some(Ok(found)) => found,
            Some(Err(error)) => return step.fail_before_execution(input, error.info),
            None => return step.rest(StepStatus::Cancelled),
        };
        let fingerprinted = Fingerprinted {
            node_type: &node.node_type,
            version: node.version,
            rendered: &rendered,
            input: given,
            world: &world,
        };
        let fingerprint = fingerprinted.fingerprint(&walk.normaliser, &*bound, walk.driver.salt());
        // Decide.
        let first_version = || fingerprinted.first_version(&walk.normaliser, &*bound);
        let decided = step.decide(&world, fingerprint, first_version);
        if let (Verdict::Reuse, Some(known)) = (decided.verdict, decided.known) {
            return step.reuse(&known.path, decided.reason);
        }
        if !node.options.requires_approval && !step.is_ruled(&rendered) {
            break (rendered, bound, world, fingerprint, decided, None);
        }
        let Some(intent) = step.unless_stopped(step.intent(&*bound, &rendered, given)).await else {
            return step.rest(StepStatus::Cancelled);
        };
        let shown = intent.facts;
        // A person may be asked by a handler, too, and others are not to wait for that.
        step.room.close_files();
        match intent.approval(walk, &mut busy, &step.stop).await? {
            Approval::Granted(by) => {
                // The person may have thought for long, and the world does not wait.
                let now = async {
                    step.room.open_files().await;
                    step.facts(&*bound, &rendered, given).await
                };
                match step.unless_stopped(now).await {
                    Some((now, preview)) if now == shown => {
                        let agreed = (by == Agreement::Shown).then_some(preview.facts);
                        break (rendered, bound, world, fingerprint, decided, agreed);
                    }
                    Some(_) => {}
                    None => return step.rest(StepStatus::Cancelled),
                }
                asked_again += 1;
                if asked_again == MOST_ASKED {
                    return step.fail_before_execution(input, NodeError::world_unstable("it").info);
                }
            }
            Approval::Edited(edited) => {
                input = Some(edited);
                asked_again = 0;
            }
            Approval::Denied(error) => return step.end_by_hand(StepStatus::Failed, Some(error), None),
            Approval::Pending(status) => return step.rest(status),
        }
    };
    // Execute.
    let executed = step
        .execute(Execution {
            bound: &*bound,
            decided: &decided,
            world: &world,
            settings: &rendered.settings,
            input: input.as_ref().map(Clean::get),
            agreed: agreed.as_ref(),
        })
        .await?;
    let attempt = match executed {
        Executed::Ended(attempt) => attempt,
        Executed::Stopped => return step.rest(StepStatus::Cancelled),
    };
    if attempt.kind.suspends {
        return Ok(Ended::pending(StepStatus::Waiting));
    }
    // Record, and with it announce.
    step.commit(*attempt, input, rendered, Some(fingerprint)).await
}

impl Step<'_> {
    fn reuse(&self, from: &HierarchyPath, reason: Reason) -> Result<Ended, RunError> {
        let node_type = &self.node.node_type;
        let taken = self
            .walk
            .driver
            .reuse_step(self.inside.entered, &self.path, node_type, from, reason);
        let totals = match taken {
            Ok(totals) => totals,
            // The step fails: the run itself continues, to what is to be done in any case.
            Err(error) if error.is_of_parent() => return self.fail_before_execution(None, error.to_info()),
            Err(error) => return Err(error),
        };
        Ok(Ended {
            // What is reused is a result that others could continue from, a failure that was absorbed too.
            status: StepStatus::Completed,
            totals,
            failures: Vec::new(),
        })
    }

    /// Ends as the user wants it who settled the step by hand.
    fn settle(&self, settled: Settled) -> Result<Ended, RunError> {
        let mut summary = None;
        let (status, error) = match settled {
            Settled::Skipped(reason) => {
                summary = reason;
                (StepStatus::Skipped, None)
            }
            Settled::Failed(reason) => {
                let message = reason.unwrap_or_else(|| "it was settled so by hand".to_owned());
                (
                    StepStatus::Failed,
                    Some(ErrorInfo::new("failed_by_hand", message)),
                )
            }
        };
        self.end_by_hand(status, error, summary)
    }

    /// Comes to rest without having been executed, which is recorded if the step [ends](Walk::ends_unbegun) by that.
    fn rest(&self, status: StepStatus) -> Result<Ended, RunError> {
        let phase = self.inside.phase;
        if status != StepStatus::Cancelled || !self.walk.ends_unbegun(&self.path, phase) {
            return Ok(Ended::pending(status));
        }
        let why = self.walk.out_of_time(&self.path, phase);
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let message = format!("the step was cancelled before it executed{why}");
        let error = ErrorInfo::new(CANCELLED, message);
        let mut ended = self.end_by_hand(StepStatus::Cancelled, Some(error), None)?;
        if ended.status != StepStatus::Completed {
            ended.status = StepStatus::Cancelled;
        }
        Ok(ended)
    }

    /// Ends without having been executed.
    fn end_by_hand(
        &self,
        status: StepStatus,
        error: Option<ErrorInfo>,
        summary: Option<String>,
    ) -> Result<Ended, RunError> {
        let node_type = &self.node.node_type;
        let driver = &self.walk.driver;
        let redactor = self.walk.run.secrets().redactor();
        let error = error.map(|error| Clean::redact(error.at(&self.path), &redactor));
        let summary = summary.map(|summary| Clean::redact(summary, &redactor));
        let end = (status, error.clone());
        let absorbed = self.absorbs(status);
        let totals =
            driver.settle_step(self.inside.entered, &self.path, node_type, end, summary, absorbed)?;
        let mut ended = Ended {
            totals,
            ..Ended::nothing()
        };
        if let Some(error) = error.filter(|_| !absorbed) {
            ended.fail(&self.path, error.into_inner());
        }
        Ok(ended)
    }

    fn asking_place(&self) -> AskingPlace<'_> {
        AskingPlace {
            asker: Asker::Node(self.node),
            path: &self.path,
            around: Some(self.inside.frame),
            side: self.inside.side,
        }
    }

    /// Whether a rule denies the step or has a person asked about it.
    fn is_ruled(&self, rendered: &Rendered) -> bool {
        let driver = &self.walk.driver;
        driver.has_rules() && {
            let settings = Clean::render(rendered.settings.clone(), &self.walk.run.secrets().redactor());
            let ruling = driver.ruling(&Intended {
                node: Some(&self.node.node_type),
                arguments: settings.get(),
                ..driver.intended(&self.path)
            });
            ruling.is_some_and(|ruling| ruling.rule.decision != RuleDecision::Allow)
        }
    }

    /// What a person is to agree to before it executes.
    async fn intent(&self, bound: &dyn BoundStep, rendered: &Rendered, input: Option<&Value>) -> Intent<'_> {
        let (facts, preview) = self.facts(bound, rendered, input).await;
        let redactor = self.walk.run.secrets().redactor();
        let AskingPlace { asker, around, .. } = self.asking_place();
        let subjects = self.walk.subjects();
        Intent {
            asker: Some(asker),
            path: &self.path,
            subject: self.node.asks().then(|| subjects.of(asker, &self.path, around)),
            node_type: Some(&self.node.node_type),
            settings: Clean::render(rendered.settings.clone(), &redactor),
            preview: Clean::redact(preview.shown, &redactor),
            call: None,
            facts,
        }
    }

    /// What executing the step would do, and the digest of it.
    async fn facts(
        &self,
        bound: &dyn BoundStep,
        rendered: &Rendered,
        input: Option<&Value>,
    ) -> (Digest, Preview) {
        let preview = bound.preview(&self.walk.run).await;
        let preview = preview.unwrap_or_else(|error| Preview::failing(&error));
        let facts = match &preview.facts {
            Value::Null => json!({ "settings": rendered.settings, "input": input, "shown": preview.shown }),
            facts => facts.clone(),
        };
        let facts = json!({ "node_type": self.node.node_type, "facts": facts });
        (self.walk.driver.facts_digest(&facts), preview)
    }

    fn render(&self, input: Option<&Value>) -> Result<Rendered, ErrorInfo> {
        let Inside { frame, entered, .. } = self.inside;
        let evaluator = self.walk.evaluator();
        let rendered = evaluator.settings(self.node, &self.path, &entered.path, frame, input);
        let rendered = rendered?;
        check_recorded(&rendered.settings).map_err(|error| {
            let message = format!("the rendered settings cannot be recorded: {error}");
            ErrorInfo::new(error.code(), message)
        })?;
        Ok(rendered)
    }

    fn executor(&self) -> Result<Arc<dyn ErasedNode>, RunError> {
        // The definition was compiled against this registry.
        self.walk
            .registry
            .leaf(self.node)
            .cloned()
            .ok_or_else(|| RunError::Unreadable {
                path: self.path.to_relative_dir(),
                reason: format!("the node type `{}` is not registered", self.node.node_type),
            })
    }

    /// Binds settings and input, and looks at what the step depends on besides.
    async fn bind(
        &self,
        executor: &dyn ErasedNode,
        rendered: &Rendered,
        input: Option<&Value>,
    ) -> Result<(Bound, World), NodeError> {
        let cx = BindContext::new(rendered.prepared.as_ref());
        let bound = executor.bind(&rendered.settings, input, &cx)?;
        let world = bound.world().await?;
        Ok((bound, world))
    }

    /// Whether the step executes, or the parent run's result stands for it.
    fn decide(
        &self,
        world: &World,
        fingerprint: Fingerprint,
        first_version: impl FnOnce() -> Fingerprint,
    ) -> Decided<'_> {
        let Self { walk, node, .. } = self;
        let Some(parent) = walk.run.parent() else {
            return Decided {
                verdict: Verdict::Execute,
                reason: Reason::FirstExecution,
                known: None,
                after: None,
            };
        };
        let (known, fit) = fitting(parent, &self.path, node, (fingerprint, first_version));
        let after = self.inside.effects.first().cloned();
        let (verdict, reason) = decide(&Facts {
            side: self.inside.side,
            known: Known::of(known, node.options.on_error),
            asked: walk.asked(&self.path),
            reuse: node.options.reuse,
            fit,
            kind: world.kind(),
            after_effect: after.is_some(),
        });
        Decided {
            verdict,
            reason,
            known,
            after: after.filter(|_| reason == Reason::AfterEffect),
        }
    }

    /// What differs from the parent run, if that is why the step executes.
    pub(crate) fn changes(&self, execution: &Execution<'_>) -> Result<Option<Changes>, RunError> {
        let Execution {
            decided,
            world,
            settings,
            input,
            ..
        } = execution;
        let run = &self.walk.run;
        let (Reason::Changed, Some(known), Some(parent)) = (decided.reason, decided.known, run.parent())
        else {
            return Ok(None);
        };
        let field = |result: &Value, name: &str| result.get(name).cloned().unwrap_or_default();
        // What stands in files is masked.
        let redactor = run.secrets().redactor();
        let compared = Compared {
            node_type: self.node.node_type.to_string(),
            settings: (*settings).clone(),
            input: input.cloned().unwrap_or_default(),
            reads: match world {
                World::Reads(reads) => reads.masked(&redactor).reads,
                _ => BTreeMap::new(),
            },
        };
        // What was settled by hand has nothing to be compared with.
        let Some(result) = parent.step_file::<Value>(&known.path, RESULT)? else {
            return Ok(None);
        };
        let reads: Option<ReadSet> = parent.step_file(&known.path, WORLD)?;
        let before = Compared {
            node_type: field(&result, "node_type")
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            settings: field(&result, "settings"),
            input: field(&result, "input"),
            reads: reads.unwrap_or_default().reads,
        };
        // The previous run may have known fewer secrets.
        let normalised = |mut compared: Compared| {
            redactor.redact_json(&mut compared.settings);
            redactor.redact_json(&mut compared.input);
            Compared {
                settings: self.walk.normaliser.value(&compared.settings),
                input: self.walk.normaliser.value(&compared.input),
                ..compared
            }
        };
        let origin = origin_of(known, &parent.run_id);
        Ok(Some(Changes::between(
            origin,
            &normalised(before),
            &normalised(compared),
        )))
    }

    /// Why a step executes that could not be compared with anything.
    fn plain_reason(&self) -> Reason {
        match (self.walk.run.parent(), self.inside.side) {
            (None, _) => Reason::FirstExecution,
            (Some(_), Side::Alone) => Reason::Alone,
            (Some(parent), Side::Undecided)
                if parent.step(&self.path).is_none_or(|step| !step.has_files()) =>
            {
                Reason::NoResult
            }
            (Some(_), Side::Undecided) => Reason::Changed,
            (Some(_), _) => Reason::FromEntryPoint,
        }
    }

    /// Waits for a look at what is outside of the run, unless the step is stopped meanwhile: `None` then.
    async fn unless_stopped<T>(&self, look: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            found = look => Some(found),
            () = self.stop.cancelled() => None,
        }
    }

    /// Fails a step that could not even begin; it leaves a result that says why.
    fn fail_before_execution(
        &self,
        input: Option<Clean<Value>>,
        error: ErrorInfo,
    ) -> Result<Ended, RunError> {
        let Self { walk, node, path, .. } = self;
        let start = StepStart {
            attempt: 1,
            reason: self.plain_reason(),
            after: None,
            effect: false,
        };
        let staged = walk.driver.begin_step(path, &node.node_type, &start)?;
        let error = Clean::redact(error.at(path), &walk.run.secrets().redactor());
        let mut attempt = Attempt {
            staged: Arc::new(staged),
            status: StepStatus::Failed,
            output: CleanOutput::default(),
            error: Some(error),
            kind: FailureKind::default(),
            spent_before: Usage::default(),
            effect: false,
            absorbed: false,
            duration: Duration::ZERO,
        };
        attempt.absorbed = self.absorbs(attempt.status);
        let ended = self.ended(&attempt);
        let (result, details) = self.result_of(&mut attempt, input, None, Vec::new(), None);
        walk.driver
            .commit_step(self.inside.entered, &attempt.staged, &result, details)?;
        Ok(ended)
    }

    async fn commit(
        &self,
        mut attempt: Attempt,
        input: Option<Clean<Value>>,
        rendered: Rendered,
        fingerprint: Option<Fingerprint>,
    ) -> Result<Ended, RunError> {
        let Rendered { settings, reads, .. } = rendered;
        attempt.absorbed = self.absorbs(attempt.status);
        let ended = self.ended(&attempt);
        let (result, details) = self.result_of(&mut attempt, input, Some(settings), reads, fingerprint);
        self.walk
            .driver
            .commit_step(self.inside.entered, &attempt.staged, &result, details)?;
        for name in &self.node.options.post_events {
            self.walk.driver.custom(name, Some(&self.path), Value::Null)?;
        }
        Ok(ended)
    }

    /// What is recorded of an attempt; its output and error are moved into it.
    fn result_of(
        &self,
        attempt: &mut Attempt,
        input: Option<Clean<Value>>,
        settings: Option<Value>,
        reads: Vec<String>,
        fingerprint: Option<Fingerprint>,
    ) -> (Clean<StepResult>, CommitDetails) {
        let Self { walk, node, .. } = self;
        let CleanOutput {
            outcome,
            output,
            usage,
            summary,
        } = std::mem::take(&mut attempt.output);
        let mut result = StepResult {
            schema_version: StepResult::FORMAT,
            path: self.path.clone(),
            executable_type: match node.function {
                Some(_) => "callback".to_owned(),
                None => "flow_node".to_owned(),
            },
            node_identifier: node.id.to_string(),
            node_type: node.node_type.to_string(),
            execution_status: attempt.status,
            input: None,
            settings: None,
            output: None,
            outcome: None,
            error: None,
            attempt: attempt.staged.attempt,
            fingerprint,
            created_at: self.created_at,
            started_at: Some(attempt.staged.started_at),
            completed_at: Some(walk.run.now()),
            usage_cost: None,
            usage_prompt_tokens: None,
            usage_completion_tokens: None,
            usage_total_tokens: None,
        };
        result.set_usage(&usage);
        let result = result.with_values(StepValues {
            input,
            settings: settings.map(|settings| Clean::render(settings, &walk.run.secrets().redactor())),
            output,
            outcome: Some(outcome).filter(|outcome| !outcome.get().is_null()),
            error: attempt.error.take(),
        });
        (
            result,
            CommitDetails {
                reads,
                usage,
                duration: attempt.duration,
                summary,
                effect: attempt.effect,
                absorbed: attempt.absorbed,
            },
        )
    }

    /// Whether the component around goes on although the step ended so.
    fn absorbs(&self, status: StepStatus) -> bool {
        absorbs(self.node.options.on_error, status, self.inside.stop)
    }

    fn ended(&self, attempt: &Attempt) -> Ended {
        let mut totals = Totals {
            usage: attempt.output.usage,
            ..Totals::default()
        };
        totals.usage += attempt.spent_before;
        totals.counts.add(attempt.status, false);
        let absorbed = attempt.absorbed;
        let failure = attempt.error.clone().map(|error| FirstFailure {
            path: self.path.clone(),
            error: error.into_inner(),
        });
        let status = if absorbed {
            StepStatus::Completed
        } else {
            attempt.status
        };
        Ended {
            status,
            totals,
            failures: failure.filter(|_| !absorbed).into_iter().collect(),
        }
    }
}
