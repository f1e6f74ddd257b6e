//! Elements that decide what is executed, and how often.

use dad_core::{
    Callback, ComponentKind, Conditional, Element, ElementOptions, ForEach, NodeType, Parallel, Repeat,
};
use indexmap::IndexMap;
use serde_json::{Map, json};

use crate::compile::outline::Asker;
use crate::compile::{Compiler, check};
use crate::place::Place;
use crate::problem::{Problem, quoted};
use crate::program::{Component, Content, ForEachLoop, NodeElement, RepeatLoop};
use crate::reference::References;
use crate::tree::{TemplateTree, digest_of};

impl Compiler<'_> {
    pub(super) fn conditional(
        &mut self,
        conditional: &Conditional,
        options: ElementOptions,
        number: usize,
        place: &Place,
    ) -> Component {
        let kind = ComponentKind::Conditional;
        self.part(&conditional.variables, kind, options, number, place, |cx| {
            let statement = cx.expression(
                &conditional.statement,
                &place.key("statement"),
                Asker::Entry(number),
            );
            let mut branch = |position, key: &str, list| {
                let number = cx.outline.child(number, position);
                number.map_or_else(Vec::new, |number| cx.elements(list, number, 0, &place.key(key)))
            };
            Content::Conditional {
                true_branch: branch(0, "true_branch", &conditional.true_branch),
                false_branch: branch(1, "false_branch", &conditional.false_branch),
                statement,
            }
        })
    }

    pub(super) fn for_each(
        &mut self,
        for_each: &ForEach,
        options: ElementOptions,
        number: usize,
        place: &Place,
    ) -> Component {
        let kind = ComponentKind::ForEach;
        self.part(&for_each.variables, kind, options, number, place, |cx| {
            let entry = Asker::Entry(number);
            let statement = cx.expression(&for_each.statement, &place.key("statement"), entry);
            let start_index = cx.expression(&for_each.start_index, &place.key("start_index"), entry);
            cx.names.push(&for_each.item_var);
            cx.names.push(&for_each.index_var);
            let body = cx.elements(&for_each.body, number, 0, &place.key("body"));
            let until = for_each.until.as_ref();
            Content::ForEach(Box::new(ForEachLoop {
                statement,
                item_var: for_each.item_var.clone(),
                index_var: for_each.index_var.clone(),
                start_index,
                max_iterations: for_each.max_iterations,
                on_limit: for_each.on_limit,
                max_concurrency: for_each.max_concurrency,
                until: until.map(|until| cx.expression(until, &place.key("until"), Asker::Until(number))),
                body,
            }))
        })
    }

    pub(super) fn repeat(
        &mut self,
        repeat: &Repeat,
        options: ElementOptions,
        number: usize,
        place: &Place,
    ) -> Component {
        let kind = ComponentKind::Repeat;
        self.part(&repeat.variables, kind, options, number, place, |cx| {
            cx.names.push(&repeat.index_var);
            let body = cx.elements(&repeat.body, number, 0, &place.key("body"));
            Content::Repeat(Box::new(RepeatLoop {
                until: cx.expression(&repeat.until, &place.key("until"), Asker::Until(number)),
                index_var: repeat.index_var.clone(),
                max_iterations: repeat.max_iterations,
                on_exhausted: repeat.on_exhausted,
                body,
            }))
        })
    }

    pub(super) fn parallel(
        &mut self,
        parallel: &Parallel,
        options: ElementOptions,
        number: usize,
        place: &Place,
    ) -> Component {
        let none = IndexMap::new();
        self.part(&none, ComponentKind::Parallel, options, number, place, |cx| {
            Content::Parallel {
                elements: cx.elements(&parallel.elements, number, 0, &place.key("elements")),
            }
        })
    }

    pub(super) fn callback(
        &mut self,
        element: &Element,
        callback: &Callback,
        number: usize,
        place: &Place,
    ) -> NodeElement {
        let args_place = place.key("args");
        let args = self.tree(&callback.args, &args_place);
        let types = self.types;
        let references = match types.callback(&callback.function) {
            Some(info) => {
                for finding in check::args(&info.args_schema, &args, &args_place, &self.broken) {
                    self.report.add(finding.into_problem(self.spans));
                }
                self.references(&args, &args_place, Asker::Element(number), &Map::new())
            }
            None => {
                self.unknown_callback(&callback.function, &place.key("function"));
                References::default()
            }
        };
        let item = self.outline.item(number);
        let function = TemplateTree::Literal(callback.function.clone().into());
        NodeElement {
            path: item.path.clone(),
            id: item.id.clone(),
            node_type: NodeType::CALLBACK,
            function: Some(callback.function.clone()),
            version: 1,
            place: place.to_string(),
            settings: TemplateTree::Object(vec![
                ("function".to_owned(), function),
                ("args".to_owned(), args),
            ]),
            prepared: None,
            unrendered: json!({ "function": callback.function, "args": callback.args }),
            options: element.options.clone(),
            digest: digest_of(element),
            references,
            prompt_variables: Map::new(),
        }
    }

    fn unknown_callback(&mut self, function: &str, place: &Place) {
        let names = self.types.callback_names();
        let problem = Problem::new(
            "unknown_callback",
            format!("unknown function {}", quoted(function)),
        );
        let problem = match dad_core::nearest(function, names.iter().copied()) {
            Some(name) => problem.hint(format!("did you mean `{name}`?")),
            None if names.is_empty() => problem.hint(
                "no functions are registered; the application that runs the definition registers them: \
                 `builtin_nodes().callback(\"name\", function)`",
            ),
            None => problem.hint(format!("registered are {}", names.join(", "))),
        };
        self.report.add(problem.at(self.spans, place));
    }
}
