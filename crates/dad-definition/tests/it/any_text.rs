//! Rules that hold for any text. Shared with the fuzz target, so it uses nothing of the other tests.

use dad_core::{ElementId, NodeType};
use dad_definition::{
    CallbackInfo, Loaded, NodeTypeInfo, NodeTypes, check_executable, compile, load_str, to_yaml,
};

/// Node types and functions of any name, which take anything.
struct Anything {
    node: NodeTypeInfo,
    callback: CallbackInfo,
}

impl NodeTypes for Anything {
    fn names(&self) -> Vec<&str> {
        Vec::new()
    }

    fn node_type(&self, _: &NodeType) -> Option<&NodeTypeInfo> {
        Some(&self.node)
    }

    fn callback(&self, _: &str) -> Option<&CallbackInfo> {
        Some(&self.callback)
    }
}

/// Loads a text as YAML and as JSON and compiles what loads.
///
/// # Panics
/// If the library does, if a message could harm a terminal, or if a definition does not come back from YAML.
pub(crate) fn load_and_compile(text: &str) {
    for name in ["x.yaml", "x.json"] {
        match load_str(text, name, None, None) {
            Ok(loaded) => compile_loaded(&loaded),
            Err(problems) => check_message(&problems.to_string()),
        }
    }
}

fn compile_loaded(loaded: &Loaded) {
    let types = Anything {
        node: NodeTypeInfo::any(1),
        callback: CallbackInfo::new(true.into()),
    };
    let root = ElementId::new("root").expect("it is an id");
    if let Err(problems) = compile(&loaded.definition, &root, &types, Some(&loaded.spans)) {
        check_message(&problems.to_string());
    }
    if let Err(problems) = check_executable(&loaded.definition, Some(&loaded.spans)) {
        check_message(&problems.to_string());
    }
    let yaml = to_yaml(&loaded.definition);
    match load_str(&yaml, "again.yaml", None, None) {
        Ok(again) => assert!(again.definition == loaded.definition, "{yaml}"),
        Err(problems) => panic!("{problems}\n{yaml}"),
    }
}

fn check_message(message: &str) {
    assert!(!message.is_empty());
    let harmful = |c: char| c.is_control() && c != '\n';
    assert!(!message.contains(harmful), "{message:?}");
}
