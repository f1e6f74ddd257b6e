//! The pipeline of a step, from its place in the run to its announcement. [`Step::pass_stages`] reads like its list in ARCHITECTURE.md.

use std::sync::Arc;

use dad_core::json::check_recorded;
use dad_core::{Clean, Digest, ErrorInfo, Fingerprint, HierarchyPath, RuleDecision, StepStatus};
use dad_definition::NodeElement;
use dad_run::reuse::{EntryRelation, Verdict};
use dad_run::{Reason, RunError, Settled};
use serde_json::{Value, json};

use crate::ask::approval::{Agreement, Approval, Intent};
use crate::ask::asker::AskingPlace;
use crate::ask::input::{InputOutcome, carry_input, input};
use crate::concurrency::active::ActiveStep;
use crate::concurrency::room::Room;
use crate::node::erased::ErasedNode;
use crate::node::error::{MAX_APPROVALS, NodeError};
use crate::node::traits::{BindContext, Bound, Preview, World};
use crate::render::evaluate::Rendered;
use crate::step::attempt::{Attempt, Executed, Execution};
use crate::step::decision::Decided;
use crate::step::executor::RunExecutor;
use crate::step::fingerprint::Fingerprinted;
use crate::step::outcome::ElementOutcome;
use crate::step::place::{ElementContext, Step};

/// Runs one step through the pipeline.
pub(crate) async fn run_step(
    executor: &Arc<RunExecutor>,
    node: &NodeElement,
    path: HierarchyPath,
    context: ElementContext<'_>,
) -> Result<ElementOutcome, RunError> {
    let step = Step::new(executor, node, path, context);
    let _stoppable = step
        .driver()
        .stoppable(&step.path, &step.stop, context.phase.shield());
    let mut active = executor.session.active.step(&step.room);
    let _files = FilesClosed(&step.room);
    step.driver().bus().caught_up().await;
    match step.pass_stages(&mut active).await {
        Ok(outcome) | Err(Exit::Ended(outcome)) => Ok(outcome),
        Err(Exit::Broken(error)) => Err(error),
    }
}

/// Gives the descriptors of a step back when the step has ended, even if a clone of its context is left.
struct FilesClosed<'a>(&'a Room);

impl Drop for FilesClosed<'_> {
    fn drop(&mut self) {
        self.0.close_files();
    }
}

/// The end of a step before the end of the pipeline.
enum Exit {
    Ended(ElementOutcome),
    /// The run cannot continue.
    Broken(RunError),
}

impl From<RunError> for Exit {
    fn from(error: RunError) -> Self {
        Self::Broken(error)
    }
}

impl From<Result<ElementOutcome, RunError>> for Exit {
    fn from(ended: Result<ElementOutcome, RunError>) -> Self {
        ended.map_or_else(Self::Broken, Self::Ended)
    }
}

/// A step that is to execute.
struct Ready<'s> {
    input: Option<Clean<Value>>,
    rendered: Rendered,
    bound: Bound,
    world: World,
    fingerprint: Fingerprint,
    decided: Decided<'s>,
    /// The facts that a person approved.
    agreed: Option<Value>,
}

/// The consequence of asking for approval.
enum Consent {
    /// The step executes; a person approved these facts, or a rule allowed it.
    Granted(Option<Value>),
    /// The effects of the step changed while the person was asked.
    Outdated,
    /// The step is rendered again with another input.
    Edited(Clean<Value>),
}

impl Step<'_> {
    async fn pass_stages(&self, active: &mut ActiveStep<'_>) -> Result<ElementOutcome, Exit> {
        // Place: a committed result of this run stands; before the entry point of a re-run the recorded result counts.
        self.place()?;
        // Input: the decision whether the step is reused asks no person again.
        let input = self.input(active).await?;
        // Render, bind, fingerprint, decide and ask for approval; an edited input leads back to rendering.
        let ready = self.ready(input, active).await?;
        // Execute.
        let attempt = self.execute_ready(&ready).await?;
        if attempt.kind.suspends {
            return Ok(ElementOutcome::pending(StepStatus::Waiting));
        }
        // Record, and with the record announce.
        let Ready {
            input,
            rendered,
            fingerprint,
            ..
        } = ready;
        Ok(self.commit(attempt, input, rendered, fingerprint)?)
    }

    /// Ends a step whose result is known by its place in the run.
    fn place(&self) -> Result<(), Exit> {
        if let Some(outcome) = self
            .executor
            .restored_step(self.node, &self.path, self.context.phase)
        {
            return Err(Exit::Ended(outcome));
        }
        if let Some(settled) = self.driver().settled(&self.path) {
            return Err(self.settle(settled).into());
        }
        if self.stop.is_cancelled() {
            return Err(self.suspend(StepStatus::Cancelled).into());
        }
        if self.context.relation == EntryRelation::Before {
            // A re-run of this run looks for the input here.
            carry_input(self.driver(), &self.path)?;
            return Err(self.reuse(&self.path, Reason::BeforeEntryPoint).into());
        }
        Ok(())
    }

    async fn input(&self, active: &mut ActiveStep<'_>) -> Result<Option<Clean<Value>>, Exit> {
        let input = input(self.session(), self.asking_place(), active, &self.stop).await?;
        Err(match input {
            InputOutcome::Given(input) => return Ok(input),
            InputOutcome::Invalid(error) => self.fail_before_execution(None, error),
            InputOutcome::Denied(reason) => self.settle(Settled::Failed(Some(reason))),
            InputOutcome::Suspended(status) => self.suspend(status),
        }
        .into())
    }

    /// Takes a step with its input to the point where it executes, unless it ends before.
    async fn ready(
        &self,
        mut input: Option<Clean<Value>>,
        active: &mut ActiveStep<'_>,
    ) -> Result<Ready<'_>, Exit> {
        let node = self.node()?;
        let mut outdated = 0;
        loop {
            if !self.room.opens_files() {
                self.unless_stopped(self.room.open_files()).await?;
            }
            let ready = self.decided(&*node, input).await?;
            if !self.node.options.requires_approval && !self.is_ruled(&ready.rendered) {
                return Ok(ready);
            }
            match self.consent(&ready, active).await? {
                Consent::Granted(agreed) => return Ok(Ready { agreed, ..ready }),
                Consent::Edited(edited) => {
                    input = Some(edited);
                    outdated = 0;
                }
                Consent::Outdated => {
                    input = ready.input;
                    outdated += 1;
                    if outdated == MAX_APPROVALS {
                        let error = NodeError::world_unstable("it").info;
                        return Err(self.fail_before_execution(input, error).into());
                    }
                }
            }
        }
    }

    /// Renders, binds and fingerprints a step, and ends it if its result can be reused.
    async fn decided(&self, node: &dyn ErasedNode, input: Option<Clean<Value>>) -> Result<Ready<'_>, Exit> {
        // Render.
        let given = input.as_ref().map(Clean::get);
        let rendered = match self.render(given) {
            Ok(rendered) => rendered,
            Err(error) => return Err(self.fail_before_execution(input, error).into()),
        };
        // Fingerprint.
        let (bound, world) = match self.unless_stopped(bind(node, &rendered, given)).await? {
            Ok(bound) => bound,
            Err(error) => return Err(self.fail_before_execution(input, error.info).into()),
        };
        let fingerprinted = Fingerprinted {
            node_type: &self.node.node_type,
            version: self.node.version,
            rendered: &rendered,
            input: given,
            world: &world,
        };
        let normaliser = &self.session().normaliser;
        let fingerprint = fingerprinted.fingerprint(normaliser, &*bound, self.driver().salt());
        // Decide.
        let first_version = || fingerprinted.first_version(normaliser, &*bound);
        let decided = self.decide(&world, fingerprint, first_version);
        if let (Verdict::Reuse, Some(previous)) = (decided.verdict, decided.previous) {
            return Err(self.reuse(&previous.path, decided.reason).into());
        }
        Ok(Ready {
            input,
            rendered,
            bound,
            world,
            fingerprint,
            decided,
            agreed: None,
        })
    }

    async fn execute_ready(&self, ready: &Ready<'_>) -> Result<Attempt, Exit> {
        let executed = self
            .execute(Execution {
                bound: &*ready.bound,
                decided: &ready.decided,
                world: &ready.world,
                settings: &ready.rendered.settings,
                input: ready.input.as_ref().map(Clean::get),
                agreed: ready.agreed.as_ref(),
            })
            .await?;
        match executed {
            Executed::Ended(attempt) => Ok(*attempt),
            Executed::Stopped => Err(self.suspend(StepStatus::Cancelled).into()),
        }
    }

    fn render(&self, input: Option<&Value>) -> Result<Rendered, ErrorInfo> {
        let ElementContext { frame, entered, .. } = self.context;
        let evaluator = self.session().evaluator();
        let rendered = evaluator.settings(self.node, &self.path, &entered.path, frame, input)?;
        check_recorded(&rendered.settings).map_err(|error| {
            let message = format!("the rendered settings cannot be recorded: {error}");
            ErrorInfo::new(error.code(), message)
        })?;
        Ok(rendered)
    }

    fn node(&self) -> Result<Arc<dyn ErasedNode>, RunError> {
        // The definition was compiled against this registry.
        let node = self.executor.registry.leaf(self.node);
        node.cloned().ok_or_else(|| RunError::Unreadable {
            path: self.path.to_relative_dir(),
            reason: format!("the node type `{}` is not registered", self.node.node_type),
        })
    }

    /// Asks for approval, unless it was given before the run was resumed.
    async fn consent(&self, ready: &Ready<'_>, active: &mut ActiveStep<'_>) -> Result<Consent, Exit> {
        let intent = self.unless_stopped(self.intent(ready)).await?;
        let shown = intent.facts;
        // A handler may wait for a person, too, and other steps must not wait for that.
        self.room.close_files();
        let approval = intent.approval(self.session(), active, &self.stop).await?;
        let agreement = match approval {
            Approval::Granted(agreement) => agreement,
            Approval::Edited(edited) => return Ok(Consent::Edited(edited)),
            Approval::Denied(error) => {
                let failed = self.finish_without_executing(StepStatus::Failed, Some(error), None);
                return Err(failed.into());
            }
            Approval::Suspended(status) => return Err(self.suspend(status).into()),
        };
        // The world may have changed while the person decided.
        let now = async {
            self.room.open_files().await;
            self.facts(ready).await
        };
        let (facts, preview) = self.unless_stopped(now).await?;
        Ok(if facts == shown {
            Consent::Granted((agreement == Agreement::Shown).then_some(preview.facts))
        } else {
            Consent::Outdated
        })
    }

    /// Whether a rule denies the step or demands a person's approval.
    fn is_ruled(&self, rendered: &Rendered) -> bool {
        let driver = self.driver();
        driver.has_rules() && {
            let settings = Clean::render(rendered.settings.clone(), &self.run().secrets().redactor());
            let intended = driver.intended(&self.path).node(&self.node.node_type);
            let ruling = driver.ruling(&intended.arguments(settings.get()));
            ruling.is_some_and(|ruling| ruling.rule.decision != RuleDecision::Allow)
        }
    }

    /// The execution of a step as a person is asked to approve it.
    async fn intent(&self, ready: &Ready<'_>) -> Intent<'_> {
        let (facts, preview) = self.facts(ready).await;
        let redactor = self.run().secrets().redactor();
        let AskingPlace { asker, around, .. } = self.asking_place();
        let subjects = self.session().subjects();
        Intent {
            asker: Some(asker),
            path: &self.path,
            subject: self.node.asks().then(|| subjects.of(asker, &self.path, around)),
            node_type: Some(&self.node.node_type),
            settings: Clean::render(ready.rendered.settings.clone(), &redactor),
            preview: Clean::redact(preview.shown, &redactor),
            call: None,
            facts,
        }
    }

    /// The preview of executing a step, and the digest of its facts.
    async fn facts(&self, ready: &Ready<'_>) -> (Digest, Preview) {
        let preview = ready.bound.preview(self.run()).await;
        let preview = preview.unwrap_or_else(|error| Preview::failing(&error));
        let facts = match &preview.facts {
            Value::Null => {
                let (settings, input) = (&ready.rendered.settings, ready.input.as_ref().map(Clean::get));
                json!({ "settings": settings, "input": input, "shown": preview.shown })
            }
            facts => facts.clone(),
        };
        let facts = json!({ "node_type": self.node.node_type, "facts": facts });
        (self.driver().facts_digest(&facts), preview)
    }

    /// Waits for a look at the world outside the run, unless the step is stopped.
    async fn unless_stopped<T>(&self, look: impl Future<Output = T>) -> Result<T, Exit> {
        tokio::select! {
            biased;
            found = look => Ok(found),
            () = self.stop.cancelled() => Err(self.suspend(StepStatus::Cancelled).into()),
        }
    }
}

/// Binds settings and input, and finds the other dependencies of the step's result.
async fn bind(
    node: &dyn ErasedNode,
    rendered: &Rendered,
    input: Option<&Value>,
) -> Result<(Bound, World), NodeError> {
    let cx = BindContext::new(rendered.prepared.as_ref());
    let bound = node.bind(&rendered.settings, input, &cx)?;
    let world = bound.world().await?;
    Ok((bound, world))
}
