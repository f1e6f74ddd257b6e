//! The macro that makes a builder's node of settings.

/// Makes the type by which a definition in Rust writes a node: its settings, ready to become a `NodeBuilder`.
macro_rules! settings_node {
    ($(#[$doc:meta])* $name:ident, $settings:ident, $node_type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            /// The settings of the node.
            pub settings: $settings,
        }

        impl $name {
            /// The node as a definition holds it, to add templates and options.
            pub fn builder(self) -> dad_definition::NodeBuilder {
                dad_definition::NodeBuilder::new(dad_core::NodeType::$node_type, self.settings)
            }
        }

        impl From<$name> for dad_definition::NodeBuilder {
            fn from(node: $name) -> Self {
                node.builder()
            }
        }
    };
}

pub(crate) use settings_node;
