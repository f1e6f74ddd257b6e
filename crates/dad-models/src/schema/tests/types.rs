//! Types as users write them, with values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! types {
    ($($(#[$meta:meta])* $kind:ident $name:ident $body:tt)*) => {
        $(
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
            $(#[$meta])*
            pub(super) $kind $name $body
        )*
    };
}

types! {
    /// A colour.
    enum Colour { Red, Green, Blue }

    #[serde(rename_all = "snake_case")]
    enum Documented {
        /// As it is.
        Plain,
        /// With a frame.
        Framed,
        Other,
    }

    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Internal {
        Point { x: i32, y: i32 },
        Text { text: String },
        Inner(Inner),
        Nothing,
    }

    #[serde(tag = "t", content = "c")]
    enum Adjacent { Number(i64), Pair(String, String), Words { words: Vec<String> }, Empty }

    enum External { Unit, Newtype(u32), Tuple(u32, String), Struct { name: String, size: Option<u8> } }

    #[serde(untagged)]
    enum Untagged { Text(String), Number(f64), Struct { path: String } }

    #[serde(untagged)]
    enum UntaggedAlike { Short { name: String }, Long { name: String, age: u8 } }

    struct Inner { pub(super) name: String, #[serde(default)] pub(super) note: Option<String> }

    struct Optionals {
        pub(super) text: Option<String>,
        pub(super) number: Option<u32>,
        pub(super) colour: Option<Colour>,
        pub(super) inner: Option<Inner>,
        pub(super) list: Option<Vec<String>>,
        pub(super) always: bool,
    }

    #[derive(Default)]
    #[serde(default)]
    struct Defaults { pub(super) count: u32, pub(super) name: String, pub(super) colour: ColourOrNone, pub(super) tags: Vec<String> }

    #[derive(Default)]
    enum ColourOrNone { #[default] None, Red }

    struct Mapped { pub(super) counts: HashMap<String, i32>, pub(super) name: String }

    struct MapOfStructs { pub(super) by_name: BTreeMap<String, Inner> }

    struct Tupled { pub(super) pair: (i32, String), pub(super) point: (f64, f64) }

    struct Arrayed { pub(super) matrix: [[f64; 2]; 2], pub(super) flags: [bool; 3] }

    struct Tree { pub(super) name: String, pub(super) children: Vec<Tree> }

    struct Linked { pub(super) value: i32, pub(super) next: Option<Box<Linked>> }

    struct Even { pub(super) odd: Option<Box<Odd>>, pub(super) name: String }
    struct Odd { pub(super) even: Option<Box<Even>>, pub(super) size: u8 }

    struct Forest { pub(super) trees: Vec<Tree>, #[serde(default)] pub(super) favourite: Option<Tree> }

    enum Expression { Number(f64), Sum(Vec<Expression>), Negated(Box<Expression>) }

    struct Flattened { pub(super) id: u32, #[serde(flatten)] pub(super) inner: Inner }

    struct FlattenedEnum { pub(super) id: u32, #[serde(flatten)] pub(super) kind: Internal }

    struct FlattenedMap { pub(super) id: u32, #[serde(flatten)] pub(super) others: BTreeMap<String, String> }

    struct Integers { pub(super) a: u8, pub(super) b: u32, pub(super) c: i64, pub(super) d: u64, pub(super) e: usize, pub(super) f: i16 }

    struct Numbers { pub(super) float: f32, pub(super) double: f64, pub(super) non_zero: NonZeroU32 }

    struct Bounded {
        #[schemars(range(min = 1, max = 10))] pub(super) stars: u8,
        #[schemars(extend("exclusiveMinimum" = 0.0))] pub(super) weight: f64,
    }

    struct Lengths {
        #[schemars(length(min = 1, max = 20))] pub(super) name: String,
        #[schemars(length(min = 1, max = 5))] pub(super) few: Vec<String>,
        #[schemars(length(min = 2))] pub(super) many: Vec<u8>,
        #[schemars(length(max = 1000))] pub(super) most: Vec<u8>,
    }

    struct Patterned {
        #[schemars(regex(pattern = "^[a-z]+$"))] pub(super) word: String,
        #[schemars(regex(pattern = "^(?!x).*$"))] pub(super) not_x: String,
        #[schemars(regex(pattern = r"\bword\b"))] pub(super) bounded: String,
    }

    struct Sets { pub(super) names: BTreeSet<String>, pub(super) numbers: BTreeSet<u8> }

    struct Dates {
        #[schemars(extend("format" = "date-time"))] pub(super) at: String,
        #[schemars(extend("format" = "date"))] pub(super) day: String,
        #[schemars(extend("format" = "uri"))] pub(super) link: String,
        #[schemars(extend("format" = "partial-date-time"))] pub(super) local: String,
        #[schemars(email)] pub(super) mail: String,
    }

    /// Operations as of the node for files.
    #[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
    enum FileOperation {
        /// Creates a file.
        CreateFile { path: String, content: String },
        /// Changes parts of a file.
        EditFile { path: String, edits: Vec<Edit> },
        /// Deletes a file.
        DeleteFile { path: String },
        ListDirectory { #[serde(default)] path: Option<String>, #[serde(default)] recursive: bool },
    }

    #[serde(deny_unknown_fields)]
    struct Edit { pub(super) old: String, pub(super) new: String }

    struct FileOperations { pub(super) file_operations: Vec<FileOperation> }

    #[serde(deny_unknown_fields)]
    struct Closed { pub(super) a: String, pub(super) b: Option<i32> }

    struct Described {
        /// The first colour.
        pub(super) first: Colour,
        /// The second one.
        #[schemars(title = "Second", example = Colour::Red)] pub(super) second: Colour,
        /// The inner one.
        pub(super) inner: Inner,
        /// The one that may be missing.
        pub(super) maybe: Option<Inner>,
    }

    struct Anything { pub(super) value: Value, pub(super) name: String }

    struct FreeForm { pub(super) data: serde_json::Map<String, Value> }

    struct Empty {}

    struct Unit { pub(super) nothing: (), pub(super) letter: char, pub(super) yes: bool }

    #[serde(transparent)]
    struct Newtype { pub(super) inner: Vec<Inner> }

    struct Names {
        #[serde(rename = "a/b~c")] pub(super) slashed: String,
        #[serde(rename = "$ref")] pub(super) reference: Option<String>,
        #[serde(rename = "default")] pub(super) value: i32,
        #[serde(rename = "with space")] pub(super) spaced: bool,
    }

    struct Results { pub(super) outcome: Result<u32, String>, pub(super) within: Option<Option<u8>> }

    struct TwoUnions { pub(super) a: Untagged, pub(super) b: External, pub(super) c: Option<Internal> }

    #[serde(rename_all_fields = "camelCase", tag = "op")]
    enum Versioned {
        #[schemars(title = "First")] V1 { old_name: String },
        V2 { new_name: String, #[serde(skip_serializing_if = "Option::is_none")] extra: Option<Box<Versioned>> },
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Wrapped<T> {
    pub(super) inner: T,
    pub(super) label: String,
}
