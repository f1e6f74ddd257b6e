//! The flowchart of a definition, as a text for [Mermaid](https://mermaid.js.org).

use std::fmt::Write;

use dad_core::{Definition, Element, ElementKind, HierarchyPath, printable};
use serde_json::Value;

/// The longest condition in a flowchart, in characters.
const LONGEST_CONDITION: usize = 60;

/// The appearance of a step or component in a flowchart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphMark {
    /// The class of its box: one of [`GRAPH_CLASSES`].
    pub class: &'static str,
    /// A text below its name.
    pub note: String,
}

impl GraphMark {
    /// A mark of a class, with a text below the name.
    #[must_use]
    pub fn new(class: &'static str, note: impl Into<String>) -> Self {
        let note = note.into();
        Self { class, note }
    }
}

/// The classes of boxes, each with its style.
pub const GRAPH_CLASSES: [(&str, &str); 6] = [
    ("completed", "fill:#d7f0dd,stroke:#2f7d4a,color:#12331e"),
    ("reused", "fill:#d6eef5,stroke:#2a7a94,color:#0e3440"),
    ("failed", "fill:#f8d7da,stroke:#b02a37,color:#58151c"),
    ("waiting", "fill:#fff3cd,stroke:#997404,color:#4d3a02"),
    ("running", "fill:#fff3cd,stroke:#997404,color:#4d3a02"),
    ("skipped", "fill:#eeeeee,stroke:#999999,color:#666666"),
];

/// The flowchart of a definition whose root component stands at `root`. `mark` gives the appearance of a step or component by its
/// path without iterations; `None` for a plain box.
///
/// ```
/// use dad_core::{ElementId, HierarchyPath};
/// use dad_definition::{load_str, mermaid};
///
/// let flow = "schema_version: 1\nkind: flow\nelements:\n- { node: greet, type: command, settings: { commands: [[ls]] } }\n";
/// let flow = load_str(flow, "flow.yaml", None, None)?.definition;
/// let root = HierarchyPath::root(&ElementId::new("flow_root")?);
/// assert!(mermaid(&flow, &root, |_| None).contains("greet"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn mermaid(
    definition: &Definition,
    root: &HierarchyPath,
    mark: impl Fn(&HierarchyPath) -> Option<GraphMark>,
) -> String {
    let mut chart = Chart {
        text: "flowchart TD\n".to_owned(),
        mark: &mark,
        boxes: 0,
        depth: 1,
        classes: Vec::new(),
    };
    let body = &definition.body;
    chart.subgraph(root, "", |chart| {
        chart.sequence(&body.elements, &body.finally, root)
    });
    for (class, style) in GRAPH_CLASSES {
        let marked = chart.classes.iter().filter(|(_, marked)| *marked == class);
        let names: Vec<String> = marked.map(|(name, _)| name.clone()).collect();
        if !names.is_empty() {
            chart.line(&format!("classDef {class} {style}"));
            chart.line(&format!("class {} {class}", names.join(",")));
        }
    }
    chart.text
}

/// The places where a part of the chart begins and ends. An end may have a label for the edge that leaves it.
#[derive(Default)]
struct Ends {
    first: Vec<String>,
    last: Vec<(String, &'static str)>,
}

impl Ends {
    fn of(name: &str) -> Self {
        Self {
            first: vec![name.to_owned()],
            last: vec![(name.to_owned(), "")],
        }
    }
}

struct Chart<'m> {
    text: String,
    mark: &'m dyn Fn(&HierarchyPath) -> Option<GraphMark>,
    boxes: usize,
    depth: usize,
    /// The boxes that have a class.
    classes: Vec<(String, &'static str)>,
}

impl Chart<'_> {
    fn line(&mut self, line: &str) {
        // Writing into a text cannot fail.
        let _ = writeln!(self.text, "{:1$}{line}", "", 2 * self.depth);
    }

    fn name(&mut self) -> String {
        self.boxes += 1;
        format!("n{}", self.boxes)
    }

    /// A label with what the mark of a path adds; the class of the box is noted.
    fn label(&mut self, name: &str, path: &HierarchyPath, about: &str) -> String {
        let mark = (self.mark)(path).unwrap_or_default();
        if !mark.class.is_empty() {
            self.classes.push((name.to_owned(), mark.class));
        }
        let parts = [path.leaf(), about, &mark.note].map(escaped);
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("\"{}\"", parts.join("<br/>"))
    }

    fn edge(&mut self, from: &(String, &'static str), to: &str, arrow: &str) {
        let (from, label) = from;
        if label.is_empty() {
            self.line(&format!("{from} {arrow} {to}"));
        } else {
            self.line(&format!("{from} {arrow}|{label}| {to}"));
        }
    }

    fn subgraph(
        &mut self,
        path: &HierarchyPath,
        about: &str,
        inside: impl FnOnce(&mut Self) -> Ends,
    ) -> Ends {
        let name = self.name();
        let label = self.label(&name, path, about);
        self.line(&format!("subgraph {name}[{label}]"));
        self.depth += 1;
        let ends = inside(self);
        self.depth -= 1;
        self.line("end");
        ends
    }

    /// Elements one after the other, and those that execute in any case.
    fn sequence(&mut self, elements: &[Element], finally: &[Element], path: &HierarchyPath) -> Ends {
        let mut all = Ends::default();
        for (part, arrow) in [(elements, "-->"), (finally, "-.->")] {
            for element in part {
                let ends = self.element(element, &path.child(&element.id));
                for from in &all.last {
                    for to in &ends.first {
                        self.edge(from, to, arrow);
                    }
                }
                if all.first.is_empty() {
                    all.first = ends.first;
                }
                // Nothing begins or ends in an empty component.
                if !ends.last.is_empty() {
                    all.last = ends.last;
                }
            }
        }
        all
    }

    fn element(&mut self, element: &Element, path: &HierarchyPath) -> Ends {
        match &element.kind {
            ElementKind::Node(node) => {
                let name = self.name();
                let label = self.label(&name, path, node.node_type.as_str());
                self.line(&format!("{name}[{label}]"));
                Ends::of(&name)
            }
            ElementKind::Callback(callback) => {
                let name = self.name();
                let label = self.label(&name, path, &callback.function);
                self.line(&format!("{name}([{label}])"));
                Ends::of(&name)
            }
            ElementKind::Flow(body) | ElementKind::Subflow(body) | ElementKind::Subagent(body) => self
                .subgraph(path, "", |chart| {
                    chart.sequence(&body.elements, &body.finally, path)
                }),
            ElementKind::Parallel(parallel) => self.subgraph(path, "parallel", |chart| {
                let mut all = Ends::default();
                for element in &parallel.elements {
                    let ends = chart.element(element, &path.child(&element.id));
                    all.first.extend(ends.first);
                    all.last.extend(ends.last);
                }
                all
            }),
            ElementKind::Conditional(conditional) => {
                let branches = [
                    (true, conditional.true_branch.as_slice()),
                    (false, conditional.false_branch.as_slice()),
                ];
                self.choice(path, &conditional.statement, branches)
            }
            ElementKind::ForEach(for_each) => {
                let about = format!("for each of {}", shown(&for_each.statement));
                self.repeated(path, &about, &for_each.body)
            }
            ElementKind::Repeat(repeat) => {
                let about = format!("repeat until {}", shown(&repeat.until));
                self.repeated(path, &about, &repeat.body)
            }
            _ => Ends::default(),
        }
    }

    fn choice(&mut self, path: &HierarchyPath, statement: &Value, branches: [(bool, &[Element]); 2]) -> Ends {
        let name = self.name();
        let label = self.label(&name, path, &shown(statement));
        self.line(&format!("{name}{{{label}}}"));
        let mut last = Vec::new();
        for (taken, elements) in branches {
            let word = if taken { "true" } else { "false" };
            let ends = self.sequence(elements, &[], &path.branch(taken));
            for to in &ends.first {
                self.edge(&(name.clone(), word), to, "-->");
            }
            if ends.first.is_empty() {
                last.push((name.clone(), word));
            }
            last.extend(ends.last);
        }
        Ends {
            first: vec![name],
            last,
        }
    }

    fn repeated(&mut self, path: &HierarchyPath, about: &str, body: &[Element]) -> Ends {
        let name = self.name();
        let label = self.label(&name, path, about);
        self.line(&format!("{name}{{{{{label}}}}}"));
        let ends = self.sequence(body, &[], path);
        for to in &ends.first {
            self.edge(&(name.clone(), ""), to, "-->");
        }
        for from in &ends.last {
            self.edge(from, &name, "-->");
        }
        Ends::of(&name)
    }
}

/// A condition as its author wrote it, without the placeholder around it.
fn shown(statement: &Value) -> String {
    let text = match statement {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let inner = text
        .trim()
        .strip_prefix("$expr{")
        .and_then(|text| text.strip_suffix('}'));
    let text = inner
        .unwrap_or(&text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    match text.char_indices().nth(LONGEST_CONDITION) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A text in a label: its characters act neither in Mermaid nor in HTML.
fn escaped(text: &str) -> String {
    let text = printable(text);
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '#' | '&' | '<' | '>' | '\\' | '`' => escaped += &format!("#{};", u32::from(c)),
            '\n' | '\t' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
