//! The tree of a run in as little memory as possible: a run may have millions of steps.
//!
//! A node holds its place, its status and where the journal has its first and last record; everything else is read from there. The
//! children of a node are a list in the order in which the run came to them.

use std::collections::HashMap;

use dad_core::{HierarchyPath, Segment, StepStatus};
use hashbrown::HashTable;

/// The number of a node: that of the order in which the run came to it.
pub(super) type NodeId = u32;

/// The run itself: around its root component.
pub(super) const RUN: NodeId = 0;

/// No node.
const NONE: NodeId = NodeId::MAX;

/// The kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A component that is no loop.
    Component,
    /// A component whose children are iterations.
    Loop,
    /// One pass of a loop, of which no record tells.
    Iteration,
    /// A branch of a conditional, of which no record tells.
    Branch,
    /// A step.
    Step,
}

impl Kind {
    /// Whether its status follows from that of its children.
    const fn is_derived(self) -> bool {
        matches!(self, Self::Iteration | Self::Branch)
    }
}

/// A node. There may be millions: each byte counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The place of its first record.
    pub(super) begun: u64,
    /// The place of the record that says how it is.
    pub(super) recorded: u64,
    pub(super) parent: NodeId,
    /// The number of an iteration, else the number of its name.
    name: u32,
    next: NodeId,
    first: NodeId,
    last: NodeId,
    /// Its place among its siblings.
    pub(super) index: u32,
    pub(super) children: u32,
    /// The number of steps in it that failed.
    pub(super) failed: u32,
    pub(super) attempt: u16,
    pub(super) status: StepStatus,
    pub(super) kind: Kind,
    /// Whether its result was taken from another run.
    pub(super) is_taken: bool,
}

impl Node {
    /// Whether it is a step that failed.
    pub(super) fn is_failed_step(&self) -> bool {
        self.kind == Kind::Step && matches!(self.status, StepStatus::Failed | StepStatus::TimedOut)
    }
}

/// The change of a node by a record.
pub(super) struct Change {
    pub(super) status: StepStatus,
    pub(super) attempt: u32,
    pub(super) is_taken: bool,
    /// The place of the record.
    pub(super) recorded: u64,
}

/// The nodes of a run.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    /// The nodes by their parents and names.
    places: HashTable<NodeId>,
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Nodes {
    pub(super) fn new() -> Self {
        let mut nodes = Self {
            nodes: Vec::new(),
            places: HashTable::new(),
            names: Vec::new(),
            numbers: HashMap::new(),
        };
        nodes.nodes.push(new_node(NONE, 0, Kind::Component, 0, 0));
        nodes
    }

    pub(super) fn get(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// The number of nodes, the run itself among them.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node at a path, if the run has come to it.
    pub(super) fn find(&self, path: &HierarchyPath) -> Option<NodeId> {
        path.typed_segments().try_fold(RUN, |around, segment| {
            let (kind, name) = self.name_of(segment)?;
            self.child(around, kind, name)
        })
    }

    /// The node at a path, made with those around it if they are missing.
    pub(super) fn enter(&mut self, path: &HierarchyPath, kind: Kind, begun: u64) -> NodeId {
        let mut id = RUN;
        let mut segments = path.typed_segments().peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            let (form, name) = match (self.name_of(segment), segment) {
                (Some(known), _) => known,
                (None, Segment::Element(text)) => (Kind::Step, self.add_name(text)),
                (None, Segment::Branch(taken)) => (Kind::Branch, self.add_name(branch_name(taken))),
                // No journal is so long.
                (None, Segment::Iteration(_)) => (Kind::Iteration, u32::MAX),
            };
            id = self.child(id, form, name).unwrap_or_else(|| {
                let kind = match form {
                    Kind::Step if is_last => kind,
                    Kind::Step => Kind::Component,
                    derived => derived,
                };
                self.add(id, kind, name, begun)
            });
        }
        id
    }

    /// Notes what a record says of a node, and what follows for those around it.
    pub(super) fn change(&mut self, id: NodeId, change: &Change) {
        let node = self.get_mut(id);
        let failed_before = node.is_failed_step();
        node.status = change.status;
        node.attempt = u16::try_from(change.attempt).unwrap_or(u16::MAX);
        node.is_taken = change.is_taken;
        node.recorded = change.recorded;
        let fails = node.is_failed_step();
        let mut around = node.parent;
        let mut is_derived = true;
        while around != NONE {
            let node = self.get_mut(around);
            match (failed_before, fails) {
                (false, true) => node.failed += 1,
                (true, false) => node.failed = node.failed.saturating_sub(1),
                _ => {}
            }
            is_derived &= node.kind.is_derived();
            if is_derived {
                node.recorded = change.recorded;
                self.get_mut(around).status = self.status_of_children(around);
            }
            around = self.get(around).parent;
        }
    }

    /// The children of a node, in their order.
    pub(super) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.some(self.get(id).first), |id| self.next_sibling(*id))
    }

    /// The children of a node from a place on.
    pub(super) fn children_from(&self, id: NodeId, from: u32) -> impl Iterator<Item = NodeId> + '_ {
        self.children(id).skip(from as usize)
    }

    pub(super) fn next_sibling(&self, id: NodeId) -> Option<NodeId> {
        self.some(self.get(id).next)
    }

    /// The sibling before a node. Nodes are numbered as the run came to them, so it is mostly near.
    pub(super) fn previous_sibling(&self, id: NodeId) -> Option<NodeId> {
        let node = self.get(id);
        (0..id)
            .rev()
            .take_while(|_| node.index > 0)
            .find(|before| self.get(*before).parent == node.parent)
    }

    pub(super) fn first_child(&self, id: NodeId) -> Option<NodeId> {
        self.some(self.get(id).first)
    }

    pub(super) fn last_child(&self, id: NodeId) -> Option<NodeId> {
        self.some(self.get(id).last)
    }

    /// The node around another; `None` around the root component.
    pub(super) fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.some(self.get(id).parent).filter(|parent| *parent != RUN)
    }

    /// The last segment of a node's path.
    pub(super) fn name(&self, id: NodeId) -> String {
        let node = self.get(id);
        match node.kind {
            Kind::Iteration => format!("iter_{}", node.name),
            _ => self.names[node.name as usize].to_string(),
        }
    }

    /// The path of a node; `None` of the run itself.
    pub(super) fn path(&self, id: NodeId) -> Option<HierarchyPath> {
        let around = std::iter::successors(Some(id).filter(|id| *id != RUN), |id| self.parent(*id));
        let mut names: Vec<String> = around.map(|id| self.name(id)).collect();
        names.reverse();
        names.join(".").parse().ok()
    }

    fn some(&self, id: NodeId) -> Option<NodeId> {
        Some(id).filter(|id| *id != NONE)
    }

    /// The name of a segment, with the kind that its form alone tells; `None` if no node has it.
    fn name_of(&self, segment: Segment<'_>) -> Option<(Kind, u32)> {
        let known = |text: &str| self.numbers.get(text).copied();
        match segment {
            Segment::Element(text) => Some((Kind::Step, known(text)?)),
            Segment::Branch(taken) => Some((Kind::Branch, known(branch_name(taken))?)),
            Segment::Iteration(number) => Some((Kind::Iteration, u32::try_from(number).ok()?)),
        }
    }

    fn add_name(&mut self, text: &str) -> u32 {
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    fn child(&self, around: NodeId, form: Kind, name: u32) -> Option<NodeId> {
        let is_iteration = form == Kind::Iteration;
        let is_it = |id: &NodeId| {
            let node = self.get(*id);
            node.parent == around && node.name == name && (node.kind == Kind::Iteration) == is_iteration
        };
        self.places.find(hash(around, name, is_iteration), is_it).copied()
    }

    fn add(&mut self, around: NodeId, kind: Kind, name: u32, begun: u64) -> NodeId {
        let id = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        let parent = self.get_mut(around);
        let (before, index) = (parent.last, parent.children);
        parent.last = id;
        parent.children += 1;
        if before == NONE {
            parent.first = id;
        } else {
            self.get_mut(before).next = id;
        }
        self.nodes.push(new_node(around, name, kind, index, begun));
        let nodes = &self.nodes;
        let key = |id: &NodeId| {
            let node = &nodes[*id as usize];
            hash(node.parent, node.name, node.kind == Kind::Iteration)
        };
        self.places
            .insert_unique(hash(around, name, kind == Kind::Iteration), id, key);
        id
    }

    /// The status of what is no step or component: of those of its children the one that counts most.
    fn status_of_children(&self, id: NodeId) -> StepStatus {
        let statuses = self.children(id).map(|child| self.get(child).status);
        let worst = statuses.max_by_key(|status| severity(*status));
        worst.unwrap_or(StepStatus::Pending)
    }
}

const fn branch_name(taken: bool) -> &'static str {
    if taken { "is_true" } else { "is_false" }
}

fn new_node(parent: NodeId, name: u32, kind: Kind, index: u32, begun: u64) -> Node {
    Node {
        begun,
        recorded: begun,
        parent,
        name,
        next: NONE,
        first: NONE,
        last: NONE,
        index,
        children: 0,
        failed: 0,
        attempt: 0,
        status: StepStatus::Pending,
        kind,
        is_taken: false,
    }
}

/// The place of a status in the order in which a group of nodes shows it: what failed first, then what waits or executes.
pub(super) const fn severity(status: StepStatus) -> u8 {
    match status {
        StepStatus::Failed | StepStatus::TimedOut => 7,
        StepStatus::Waiting => 6,
        StepStatus::Running => 5,
        StepStatus::Cancelled => 4,
        StepStatus::Pending => 2,
        StepStatus::Completed => 1,
        StepStatus::Skipped => 0,
        _ => 3,
    }
}

/// A hash of a place: neighbours are numbered one after the other, so their bits are spread over the whole word.
const fn hash(around: NodeId, name: u32, is_iteration: bool) -> u64 {
    let place = ((around as u64) << 32 | name as u64) ^ ((is_iteration as u64) << 63);
    let spread = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread ^ (spread >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
