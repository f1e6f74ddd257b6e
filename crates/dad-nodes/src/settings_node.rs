//! The macros that make settings the nodes of definitions in Rust.

/// Gives the settings of a node type the name that a definition in Rust has for the node, and makes them a `NodeBuilder`.
macro_rules! settings_node {
    ($(#[$doc:meta])* $name:ident, $settings:ident, $node_type:ident) => {
        $(#[$doc])*
        pub type $name = $settings;

        impl $settings {
            /// The node as a definition holds it, to add templates and options.
            pub fn builder(self) -> dad_definition::NodeBuilder {
                dad_definition::NodeBuilder::new(dad_core::NodeType::$node_type, self)
            }
        }

        impl From<$settings> for dad_definition::NodeBuilder {
            fn from(settings: $settings) -> Self {
                settings.builder()
            }
        }
    };
}

/// Setters of lists and maps, which take any iterator of what becomes an item: the derived ones would take a finished `Vec`.
macro_rules! setters {
    (impl $settings:ident { $($kind:ident $field:ident: $item:ty;)* }) => {
        impl $settings {
            $(setters! { @$kind $field: $item })*
        }
    };
    (@list $field:ident: $item:ty) => {
        #[doc = concat!("Sets the [`", stringify!($field), "`](#structfield.", stringify!($field), ") field of this struct.")]
        #[must_use]
        pub fn $field(mut self, items: impl IntoIterator<Item = impl Into<$item>>) -> Self {
            self.$field = items.into_iter().map(Into::into).collect();
            self
        }
    };
    (@optional_list $field:ident: $item:ty) => {
        #[doc = concat!("Sets the [`", stringify!($field), "`](#structfield.", stringify!($field), ") field of this struct.")]
        #[must_use]
        pub fn $field(mut self, items: impl IntoIterator<Item = impl Into<$item>>) -> Self {
            self.$field = Some(items.into_iter().map(Into::into).collect());
            self
        }
    };
    (@map $field:ident: $item:ty) => {
        #[doc = concat!("Sets the [`", stringify!($field), "`](#structfield.", stringify!($field), ") field of this struct.")]
        #[must_use]
        pub fn $field(
            mut self,
            items: impl IntoIterator<Item = (impl Into<String>, impl Into<$item>)>,
        ) -> Self {
            let items = items.into_iter();
            self.$field = items.map(|(name, value)| (name.into(), value.into())).collect();
            self
        }
    };
}

pub(crate) use {setters, settings_node};
