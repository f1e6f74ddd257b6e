//! The names of a definition, and what `$hier{…}` means among them.

use std::collections::HashMap;

use dad_core::{Definition, Element, ElementId, ElementKind, HierarchyPath, PathSelector, SelectError};

use crate::compile::name::{Iteration, Name};
use crate::problem::{Problem, quoted};
use crate::reference::{Target, TargetSegment};

/// All components, branches and steps of a definition, numbered in document order; the root is 0.
#[derive(Debug)]
pub(super) struct Outline {
    items: Vec<Item>,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) path: HierarchyPath,
    pub(super) id: ElementId,
    parent: Option<usize>,
    shape: Shape,
    children: Vec<usize>,
    by_id: HashMap<ElementId, usize>,
    /// The number of the last item in it; its own for steps.
    last: usize,
}

/// The meaning of an item for references to it and from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A step, agent or flow.
    Plain,
    /// Its children are the two branches.
    Conditional,
    /// A branch; its id is that of the conditional.
    Branch(bool),
    /// A loop.
    Loop {
        /// Whether iterations may run at the same time.
        concurrent: bool,
    },
    /// Its children run at the same time.
    Parallel,
}

/// The origin of a reference to a step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// The variables or the statement of a component, evaluated when it is entered.
    Entry(usize),
    /// The settings of an element.
    Element(usize),
    /// The condition of a loop, evaluated after an iteration.
    Until(usize),
    /// The output of the run, after everything else.
    Output,
}

impl Asker {
    /// The item that stands for the place that asks.
    const fn number(self) -> usize {
        match self {
            Self::Entry(number) | Self::Element(number) | Self::Until(number) => number,
            Self::Output => 0,
        }
    }
}

type Refusal = Box<Problem>;

fn refusal(code: &'static str, message: String) -> Refusal {
    Box::new(Problem::new(code, message))
}

impl Outline {
    pub(super) fn new(definition: &Definition, root_id: &ElementId) -> Self {
        let mut outline = Self { items: Vec::new() };
        let root = outline.push(HierarchyPath::root(root_id), root_id, None, Shape::Plain);
        for list in [&definition.body.elements, &definition.body.finally] {
            outline.add_all(list, root);
        }
        outline.close(root);
        outline
    }

    fn push(&mut self, path: HierarchyPath, id: &ElementId, parent: Option<usize>, shape: Shape) -> usize {
        let number = self.items.len();
        self.items.push(Item {
            path,
            id: id.clone(),
            parent,
            shape,
            children: Vec::new(),
            by_id: HashMap::new(),
            last: number,
        });
        if let Some(parent) = parent {
            self.items[parent].children.push(number);
        }
        number
    }

    /// Says that everything in an item has been added.
    fn close(&mut self, number: usize) {
        self.items[number].last = self.items.len() - 1;
    }

    fn add_all(&mut self, list: &[Element], parent: usize) {
        for element in list {
            self.add(element, parent);
        }
    }

    fn add(&mut self, element: &Element, parent: usize) {
        let shape = match &element.kind {
            ElementKind::Conditional(_) => Shape::Conditional,
            ElementKind::ForEach(for_each) => Shape::Loop {
                concurrent: for_each.max_concurrency > 1,
            },
            ElementKind::Repeat(_) => Shape::Loop { concurrent: false },
            ElementKind::Parallel(_) => Shape::Parallel,
            _ => Shape::Plain,
        };
        let path = self.items[parent].path.child(&element.id);
        let number = self.push(path, &element.id, Some(parent), shape);
        self.items[parent].by_id.insert(element.id.clone(), number);
        if let ElementKind::Conditional(conditional) = &element.kind {
            for (taken, list) in [
                (true, &conditional.true_branch),
                (false, &conditional.false_branch),
            ] {
                let path = self.items[number].path.branch(taken);
                let branch = self.push(path, &element.id, Some(number), Shape::Branch(taken));
                self.add_all(list, branch);
                self.close(branch);
            }
        } else {
            for (_, list) in element.kind.lists() {
                self.add_all(list, number);
            }
        }
        self.close(number);
    }

    /// The item of a number that this outline gave.
    pub(super) fn item(&self, number: usize) -> &Item {
        &self.items[number]
    }

    pub(super) fn child(&self, parent: usize, position: usize) -> Option<usize> {
        self.items.get(parent)?.children.get(position).copied()
    }

    fn paths(&self) -> impl Iterator<Item = &HierarchyPath> {
        self.items.iter().map(|item| &item.path)
    }

    /// The target of `$hier{name}` for an asker.
    pub(super) fn resolve(&self, name: &str, asker: Asker) -> Result<Target, Refusal> {
        if name == STEP_BEFORE {
            return self.step_before(asker);
        }
        let parsed = Name::parse(name)?;
        let found = self.find(name, &parsed, asker)?;
        let Some(&target) = found.last() else {
            return Err(refusal("unknown_step", format!("{} names no step", quoted(name))));
        };
        let explicit = self.iterations(name, &parsed, &found)?;
        let segments = self.segments(name, target, &explicit, asker)?;
        let earlier = segments.iter().any(is_earlier);
        let reason = self.unavailable(target, asker).filter(|_| !earlier);
        let item = self.item(target);
        match reason {
            Some(reason) => {
                let message = format!("{} {reason}", quoted(name));
                let problem = Problem::new("unavailable_step", message);
                let exact = item.path.as_str() == name;
                Err(Box::new(if exact {
                    problem
                } else {
                    problem.hint(format!("it means `{}`", item.path))
                }))
            }
            None => Ok(Target {
                path: item.path.clone(),
                segments,
            }),
        }
    }

    /// The step right before a place: in its list, else before the component that it begins.
    fn step_before(&self, asker: Asker) -> Result<Target, Refusal> {
        let before = self
            .before(asker.number())
            .ok_or_else(|| refusal("unknown_step", "no step stands before this place".to_owned()))?;
        let mut step = before;
        while let Some(last) = self.item(step).children.last() {
            if self.item(step).shape != Shape::Plain {
                let message = format!("`{}`, right before this place, is no step", self.item(step).path);
                return Err(Problem::new("invalid_reference", message)
                    .hint("name the step that is meant")
                    .into());
            }
            step = *last;
        }
        Ok(Target {
            path: self.item(step).path.clone(),
            segments: self.segments(STEP_BEFORE, step, &HashMap::new(), asker)?,
        })
    }

    /// The item before another one, in its list or before the item around it.
    fn before(&self, number: usize) -> Option<usize> {
        let parent = self.item(number).parent?;
        let around = self.item(parent);
        let earlier = around.children.iter().rev().find(|sibling| **sibling < number);
        match around.shape {
            // Its children are executed at the same time, or only one of them is.
            Shape::Parallel | Shape::Conditional => self.before(parent),
            _ => earlier.copied().or_else(|| self.before(parent)),
        }
    }

    /// The item of every part of a name, the target last.
    fn find(&self, name: &str, parsed: &Name<'_>, asker: Asker) -> Result<Vec<usize>, Refusal> {
        let ids: Vec<&str> = parsed.ids().collect();
        let mut around = match asker {
            // Variables are evaluated before anything in their component, so its inside is not their surrounding.
            Asker::Entry(number) | Asker::Element(number) => self.item(number).parent,
            Asker::Until(number) => Some(number),
            Asker::Output => Some(0),
        };
        while let Some(component) = around {
            if let Some(found) = self.descend(component, &ids) {
                return Ok(found);
            }
            around = self.item(component).parent;
        }
        let selector = ids.join(".").parse::<PathSelector>().map_err(|error| {
            let message = format!("{} is not the name of a step: {}", quoted(name), error.reason);
            refusal("invalid_reference", message)
        })?;
        let path = selector
            .select(self.paths())
            .map_err(|error| Box::new(self.not_found(name, &error)))?;
        let target = self.items.iter().position(|item| item.path == *path);
        target
            .and_then(|target| self.align(target, &ids))
            .ok_or_else(|| refusal("unknown_step", format!("{} names no step", quoted(name))))
    }

    fn descend(&self, component: usize, ids: &[&str]) -> Option<Vec<usize>> {
        let mut at = component;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            at = self.inside(at, id)?;
            found.push(at);
        }
        Some(found)
    }

    /// The child of a name; of a conditional also one in a branch, if only one branch has it.
    fn inside(&self, at: usize, id: &str) -> Option<usize> {
        let item = self.item(at);
        if item.shape != Shape::Conditional {
            return item.by_id.get(id).copied();
        }
        let branch = |child: &&usize| matches!(self.item(**child).shape, Shape::Branch(taken) if id == format!("is_{taken}"));
        if let Some(child) = item.children.iter().find(branch) {
            return Some(*child);
        }
        let mut in_branches = item
            .children
            .iter()
            .filter_map(|child| self.item(*child).by_id.get(id).copied());
        let first = in_branches.next();
        first.filter(|_| in_branches.next().is_none())
    }

    /// The items that the parts of a name mean, for a target that was found by the end of its path.
    fn align(&self, target: usize, ids: &[&str]) -> Option<Vec<usize>> {
        let mut found = Vec::with_capacity(ids.len());
        let mut at = Some(target);
        for id in ids.iter().rev() {
            let number = std::iter::successors(at, |number| self.item(*number).parent)
                .find(|number| self.item(*number).path.leaf() == *id)?;
            found.push(number);
            at = self.item(number).parent;
        }
        found.reverse();
        Some(found)
    }

    /// The iterations that a name says, by the loops that it says them of.
    fn iterations(
        &self,
        name: &str,
        parsed: &Name<'_>,
        found: &[usize],
    ) -> Result<HashMap<usize, Iteration>, Refusal> {
        let mut explicit = HashMap::new();
        for (part, number) in parsed.parts.iter().zip(found) {
            let Some(iteration) = part.iteration else {
                continue;
            };
            let id = part.id;
            if !matches!(self.item(*number).shape, Shape::Loop { .. }) {
                let message = format!(
                    "in {} `{iteration}` stands behind `{id}`, which is no loop",
                    quoted(name)
                );
                return Err(refusal("invalid_reference", message));
            }
            if found.last() == Some(number) {
                let message = format!(
                    "{} names an iteration, which has no result of its own",
                    quoted(name)
                );
                let problem = Problem::new("invalid_reference", message);
                return Err(problem.hint("name a step in it, or the loop alone").into());
            }
            explicit.insert(*number, iteration);
        }
        Ok(explicit)
    }

    /// The path of a target in the run, as far as it is known before the run.
    fn segments(
        &self,
        name: &str,
        target: usize,
        explicit: &HashMap<usize, Iteration>,
        asker: Asker,
    ) -> Result<Vec<TargetSegment>, Refusal> {
        let mut chain: Vec<usize> =
            std::iter::successors(Some(target), |number| self.item(*number).parent).collect();
        chain.reverse();
        let mut segments = Vec::with_capacity(chain.len());
        // As long as both places are in the same iterations of the loops so far.
        let mut together = true;
        for number in chain {
            let item = self.item(number);
            segments.push(match item.shape {
                Shape::Branch(taken) => TargetSegment::Branch(taken),
                _ => TargetSegment::Element(item.id.clone()),
            });
            let Shape::Loop { concurrent } = item.shape else {
                continue;
            };
            if number == target {
                continue;
            }
            let iteration = explicit.get(&number).copied();
            let shared = together && self.is_in(asker, number);
            segments.push(match iteration {
                Some(iteration) if shared => earlier_iteration(name, &item.id, iteration, concurrent)?,
                Some(iteration) => other_iteration(name, &item.id, iteration)?,
                None if shared => TargetSegment::Same,
                None => return Err(which_iteration(name, self.item(target), item)),
            });
            together &= shared && iteration.is_none();
        }
        Ok(segments)
    }

    /// Whether the place of an asker is inside an iteration of a loop.
    fn is_in(&self, asker: Asker, number: usize) -> bool {
        match asker {
            Asker::Output => false,
            Asker::Until(at) if at == number => true,
            Asker::Until(at) | Asker::Entry(at) | Asker::Element(at) => self.contains(number, at),
        }
    }

    /// Whether an item stands inside another.
    fn contains(&self, outer: usize, inner: usize) -> bool {
        outer < inner && inner <= self.item(outer).last
    }

    fn not_found(&self, name: &str, error: &SelectError) -> Problem {
        match error {
            SelectError::Ambiguous { candidates, .. } => {
                let message = format!("{} is ambiguous", quoted(name));
                let problem = Problem::new("ambiguous_step", message);
                problem.hint(format!("it may mean {}", candidates.join(", ")))
            }
            SelectError::Unknown { nearest, known, .. } => {
                let problem = Problem::new(
                    "unknown_step",
                    format!("{} names no step or component", quoted(name)),
                );
                match (self.farther_in(name), self.with_field(name), nearest) {
                    (Some(meant), _, _) => problem.hint(format!("did you mean `{meant}`?")),
                    (None, Some((step, field)), _) => problem.hint(format!(
                        "only the name stands in the braces: `$hier{{{step}}}.{field}`"
                    )),
                    (None, None, Some(nearest)) => problem.hint(format!("did you mean `{nearest}`?")),
                    (None, None, None) => problem.hint(format!("there are {}", known.join(", "))),
                }
            }
            other => Problem::new("unknown_step", other.to_string()),
        }
    }

    /// The one step whose path has the ids of a name in their order and others between: the name leaves out a conditional.
    fn farther_in(&self, name: &str) -> Option<String> {
        let wanted: Vec<&str> = name.split('.').collect();
        let mut fitting = self.items.iter().filter_map(|item| {
            let around = std::iter::successors(Some(item), |item| Some(self.item(item.parent?)));
            let mut around: Vec<&Item> = around.collect();
            around.reverse();
            let mut ids = around
                .iter()
                .filter(|item| !matches!(item.shape, Shape::Branch(_)));
            let begins = wanted
                .first()
                .and_then(|first| ids.clone().position(|item| item.id.as_str() == *first));
            let in_order = wanted.iter().all(|id| ids.any(|item| item.id.as_str() == *id));
            let is_end = wanted.last() == Some(&item.id.as_str());
            let named = around
                .iter()
                .filter(|item| !matches!(item.shape, Shape::Branch(_)))
                .skip(begins?);
            let is_plain = named
                .clone()
                .all(|item| !matches!(item.shape, Shape::Loop { .. }));
            let path: Vec<&str> = named.map(|item| item.id.as_str()).collect();
            (in_order && is_end && is_plain).then(|| path.join("."))
        });
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// Divides a name that continues behind the name of a step.
    fn with_field<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        name.match_indices('.')
            .map(|(at, _)| (&name[..at], &name[at + 1..]))
            .rev()
            .find(|(step, _)| {
                let Ok(parsed) = Name::parse(step) else {
                    return false;
                };
                let ids: Vec<&str> = parsed.ids().collect();
                let selector = ids.join(".").parse::<PathSelector>();
                selector.is_ok_and(|selector| selector.select(self.paths()).is_ok())
            })
    }

    /// Why the result of a target is not there yet when it is asked for.
    fn unavailable(&self, target: usize, asker: Asker) -> Option<&'static str> {
        let at = asker.number();
        let contains_place = || {
            let contains = target == at || self.contains(target, at);
            contains.then_some("contains this place, so it has no result yet")
        };
        match asker {
            Asker::Output if target == 0 => Some("is the run itself, whose result is made of this"),
            Asker::Output => None,
            Asker::Element(number) if target == number => Some("refers to itself"),
            Asker::Entry(number) if target == number => Some("refers to the component that is being entered"),
            Asker::Until(number) if target > self.item(number).last => Some(LATER),
            Asker::Element(number) | Asker::Entry(number) if target > number => Some(LATER),
            _ => contains_place().or_else(|| self.apart(target, at)),
        }
    }

    /// Why two items never see each other although one comes first.
    fn apart(&self, target: usize, at: usize) -> Option<&'static str> {
        let mut around = self.item(target).parent;
        while let Some(number) = around.filter(|number| !self.contains(*number, at) && *number != at) {
            around = self.item(number).parent;
        }
        match self.item(around?).shape {
            Shape::Parallel => Some("runs at the same time, so its result may not be there"),
            Shape::Conditional => Some("is in the other branch, which is not executed"),
            _ => None,
        }
    }
}

/// The name of the step right before the place where it is written.
const STEP_BEFORE: &str = "previous";

const LATER: &str = "is executed later, so it has no result yet";

const fn is_earlier(segment: &TargetSegment) -> bool {
    matches!(segment, TargetSegment::Previous | TargetSegment::Iteration(_))
}

/// An iteration of a loop that the asker stands in.
fn earlier_iteration(
    name: &str,
    loop_id: &ElementId,
    iteration: Iteration,
    concurrent: bool,
) -> Result<TargetSegment, Refusal> {
    let segment = match iteration {
        Iteration::Previous => TargetSegment::Previous,
        Iteration::Index(index) => TargetSegment::Iteration(index),
        Iteration::Last | Iteration::Every => {
            let message = format!(
                "{} is not known before the loop `{loop_id}` has ended",
                quoted(name)
            );
            let problem = Problem::new("unavailable_step", message);
            return Err(problem
                .hint(format!("inside the loop write `{loop_id}.previous`"))
                .into());
        }
    };
    if concurrent {
        let message = format!(
            "{} names another iteration of `{loop_id}`, whose iterations run at the same time",
            quoted(name)
        );
        return Err(refusal("unavailable_step", message));
    }
    Ok(segment)
}

/// An iteration of a loop that the asker does not stand in.
fn other_iteration(name: &str, loop_id: &ElementId, iteration: Iteration) -> Result<TargetSegment, Refusal> {
    match iteration {
        Iteration::Last => Ok(TargetSegment::Last),
        Iteration::Every => Ok(TargetSegment::Every),
        Iteration::Index(index) => Ok(TargetSegment::Iteration(index)),
        Iteration::Previous => {
            let message = format!(
                "{} asks for the iteration before, but stands outside the loop",
                quoted(name)
            );
            let problem = Problem::new("invalid_reference", message);
            Err(problem
                .hint(format!("outside the loop write `{loop_id}.last`"))
                .into())
        }
    }
}

fn which_iteration(name: &str, target: &Item, around: &Item) -> Refusal {
    let (step, id) = (&target.id, &around.id);
    let message = format!(
        "{} stands in the loop `{id}`; it is not said in which iteration",
        quoted(name)
    );
    let hint =
        format!("write `{id}.last.{step}`, `{id}.iter_0.{step}`, or `{id}.*.{step}` for the list of all");
    Problem::new("which_iteration", message).hint(hint).into()
}
