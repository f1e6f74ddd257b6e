//! The names of a definition, and what `$hier{…}` means among them.

use std::collections::HashMap;

use dad_core::{ComponentBody, Definition, Element, ElementId, HierarchyPath, PathSelector, SelectError};

use crate::problem::{Problem, quoted};

/// All components and steps of a definition, numbered in document order; the root is 0.
#[derive(Debug)]
pub(super) struct Outline {
    items: Vec<Item>,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) path: HierarchyPath,
    pub(super) id: ElementId,
    parent: Option<usize>,
    children: Vec<usize>,
    by_id: HashMap<ElementId, usize>,
    /// The number of the last item in it; its own for steps.
    last: usize,
}

/// Who refers to a step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// The variables of a component, evaluated when it is entered.
    Variables(usize),
    /// The settings of an element.
    Element(usize),
    /// The output of the run, after everything else.
    Output,
}

impl Outline {
    pub(super) fn new(definition: &Definition, root_id: &ElementId) -> Self {
        let mut outline = Self { items: Vec::new() };
        let root = outline.push(HierarchyPath::root(root_id), root_id, None);
        outline.add_children(&definition.body, root);
        outline
    }

    fn push(&mut self, path: HierarchyPath, id: &ElementId, parent: Option<usize>) -> usize {
        let number = self.items.len();
        self.items.push(Item {
            path,
            id: id.clone(),
            parent,
            children: Vec::new(),
            by_id: HashMap::new(),
            last: number,
        });
        number
    }

    fn add_children(&mut self, body: &ComponentBody, parent: usize) {
        for element in body.elements.iter().chain(&body.finally) {
            self.add(element, parent);
        }
        self.items[parent].last = self.items.len() - 1;
    }

    fn add(&mut self, element: &Element, parent: usize) {
        let path = self.items[parent].path.child(&element.id);
        let number = self.push(path, &element.id, Some(parent));
        self.items[parent].children.push(number);
        self.items[parent].by_id.insert(element.id.clone(), number);
        if let Some(body) = element.kind.body() {
            self.add_children(body, number);
        }
    }

    /// The item of a number that this outline gave.
    pub(super) fn item(&self, number: usize) -> &Item {
        &self.items[number]
    }

    pub(super) fn child(&self, parent: usize, position: usize) -> Option<usize> {
        self.items.get(parent)?.children.get(position).copied()
    }

    /// The path that `$hier{name}` means for an asker.
    pub(super) fn resolve(&self, name: &str, asker: Asker) -> Result<HierarchyPath, Box<Problem>> {
        if let Some(problem) = refused_segment(name) {
            return Err(problem.into());
        }
        let target = self.find(name, asker)?;
        match self.unavailable(target, asker) {
            Some(reason) => {
                let message = format!("{} {reason}", quoted(name));
                let problem = Problem::new("unavailable_step", message);
                let path = self.item(target).path.as_str();
                let exact = path == name;
                Err(Box::new(if exact {
                    problem
                } else {
                    problem.hint(format!("it means `{path}`"))
                }))
            }
            None => Ok(self.item(target).path.clone()),
        }
    }

    fn find(&self, name: &str, asker: Asker) -> Result<usize, Box<Problem>> {
        let segments: Vec<&str> = name.split('.').collect();
        let mut around = match asker {
            // Variables are evaluated before anything in their component, so its inside is not their surrounding.
            Asker::Variables(number) | Asker::Element(number) => self.item(number).parent,
            Asker::Output => Some(0),
        };
        while let Some(component) = around {
            if let Some(found) = self.descend(component, &segments) {
                return Ok(found);
            }
            around = self.item(component).parent;
        }
        let selector: PathSelector = name.parse().map_err(|error: dad_core::PathError| {
            Box::new(Problem::new(
                "invalid_reference",
                format!("{} is not the name of a step: {}", quoted(name), error.reason),
            ))
        })?;
        let path = selector
            .select(self.items.iter().map(|item| &item.path))
            .map_err(|error| Box::new(self.not_found(name, &error)))?;
        let number = self.items.iter().position(|item| item.path == *path);
        number.ok_or_else(|| Problem::new("unknown_step", format!("{} names no step", quoted(name))).into())
    }

    fn descend(&self, component: usize, segments: &[&str]) -> Option<usize> {
        segments.iter().try_fold(component, |at, segment| {
            self.item(at).by_id.get(*segment).copied()
        })
    }

    fn not_found(&self, name: &str, error: &SelectError) -> Problem {
        match error {
            SelectError::Ambiguous { candidates, .. } => {
                let message = format!("{} is ambiguous", quoted(name));
                let problem = Problem::new("ambiguous_step", message);
                problem.hint(format!("it may mean {}", candidates.join(", ")))
            }
            SelectError::Unknown { nearest, .. } => {
                let problem = Problem::new(
                    "unknown_step",
                    format!("{} names no step or component", quoted(name)),
                );
                match (self.with_field(name), nearest) {
                    (Some((step, field)), _) => problem.hint(format!(
                        "only the name stands in the braces: `$hier{{{step}}}.{field}`"
                    )),
                    (None, Some(nearest)) => problem.hint(format!("did you mean `{nearest}`?")),
                    (None, None) => problem,
                }
            }
            other => Problem::new("unknown_step", other.to_string()),
        }
    }

    /// Takes a name apart that goes on behind the name of a step.
    fn with_field<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        name.match_indices('.')
            .map(|(at, _)| (&name[..at], &name[at + 1..]))
            .rev()
            .find(|(step, _)| {
                let selector = step.parse::<PathSelector>();
                selector
                    .is_ok_and(|selector| selector.select(self.items.iter().map(|item| &item.path)).is_ok())
            })
    }

    /// Why the result of a target is not there yet when it is asked for.
    fn unavailable(&self, target: usize, asker: Asker) -> Option<&'static str> {
        match asker {
            Asker::Output if target == 0 => Some("is the run itself, whose result is made of this"),
            Asker::Output => None,
            Asker::Element(number) if target == number => Some("refers to itself"),
            Asker::Variables(number) if target == number => {
                Some("refers to the component whose variables are being evaluated")
            }
            Asker::Element(number) | Asker::Variables(number) if target > number => {
                Some("is executed later, so it has no result yet")
            }
            Asker::Element(number) | Asker::Variables(number) => {
                (self.item(target).last >= number).then_some("contains this place, so it has no result yet")
            }
        }
    }
}

/// Parts of names that only loops and conditionals have.
fn refused_segment(name: &str) -> Option<Problem> {
    let of_loop = |segment: &&str| {
        matches!(*segment, "previous" | "last" | "*" | "is_true" | "is_false")
            || segment
                .strip_prefix("iter_")
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let segment = name.split('.').find(of_loop)?;
    let message = format!(
        "`{segment}` names a part of a loop or conditional, which are not supported yet in this version"
    );
    Some(Problem::new("unsupported_reference", message))
}
