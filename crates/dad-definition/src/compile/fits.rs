//! The fit of texts for all node types of a definition.

use crate::fit::Fit;
use crate::node_types::{NodeTypeInfo, NodeTypes};
use crate::place::Place;
use crate::spans::SpanMap;
use crate::tree::value_at_mut;
use dad_core::{Definition, Element, ElementKind, NodeType};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// The fits of node types, each made once.
#[derive(Default)]
pub(super) struct Fits(HashMap<NodeType, Arc<Fit>>);

impl Fits {
    pub(super) fn of(&mut self, node_type: &NodeType, info: &NodeTypeInfo) -> Arc<Fit> {
        let found = self.0.entry(node_type.clone());
        Arc::clone(found.or_insert_with(|| Fit::of(&info.settings_schema).into()))
    }
}

/// Puts texts in the place of numbers and booleans in the settings of all nodes where their types want texts: those that are
/// written in the files, where these are at hand.
pub(crate) fn write_texts(definition: &mut Definition, types: &dyn NodeTypes, spans: &SpanMap) {
    let mut writing = Writing {
        types,
        spans,
        fits: Fits::default(),
    };
    for (key, list) in definition.body.lists_mut() {
        writing.list(list, &Place::root().key(key));
    }
}

struct Writing<'a> {
    types: &'a dyn NodeTypes,
    spans: &'a SpanMap,
    fits: Fits,
}

impl Writing<'_> {
    fn list(&mut self, list: &mut [Element], place: &Place) {
        for (index, element) in list.iter_mut().enumerate() {
            let place = place.index(index);
            if let ElementKind::Node(node) = &mut element.kind {
                self.settings(&node.node_type, &mut node.settings, &place.key("settings"));
            }
            for (key, list) in element.kind.lists_mut() {
                self.list(list, &place.key(key));
            }
        }
    }

    fn settings(&mut self, node_type: &NodeType, settings: &mut Value, place: &Place) {
        let Some(info) = self.types.node_type(node_type).filter(|_| holds_scalar(settings)) else {
            return;
        };
        self.fits.of(node_type, info).write(settings, place, self.spans);
        if !holds_settings(settings) {
            return;
        }
        for nested in (info.compile)(settings).nested {
            let inner = Place::parse(&nested.place).and_then(|steps| value_at_mut(settings, &steps));
            if let Some(inner) = inner {
                self.settings(&nested.node_type, inner, &place.within(&nested.place));
            }
        }
    }
}

fn holds_scalar(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Number(_) => true,
        Value::Array(items) => items.iter().any(holds_scalar),
        Value::Object(fields) => fields.values().any(holds_scalar),
        Value::Null | Value::String(_) => false,
    }
}

/// Whether there are settings of other nodes in settings; to compile them in vain costs more than all else here.
fn holds_settings(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_settings),
        Value::Object(fields) => fields.contains_key("settings") || fields.values().any(holds_settings),
        _ => false,
    }
}
