//! The rules of the providers, as a table.
//!
//! Each row names its source:
//!
//! * OpenAI: <https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas> (supported keywords, formats
//!   and limits), `lib/_pydantic.py` of PyPI `openai` 3.57.0 and `lib/transform.js` of npm `openai` 6.49.0 (transformations,
//!   and a list of unsupported keywords).
//! * Anthropic: <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations> and
//!   `lib/_parse/_transform.py` of PyPI `anthropic` 2.14.0.
//! * Gemini: `GenerateContentConfig.response_json_schema` in `types.py` of PyPI `google-genai` 3.6.1, and
//!   <https://ai.google.dev/gemini-api/docs/structured-output#json_schema_support>.

use super::kinds::Dialect;

/// The rules of one provider.
#[derive(Debug)]
pub(super) struct Rules {
    /// The name for messages.
    pub(super) provider: &'static str,
    /// Keywords of numbers that the provider knows.
    pub(super) numbers: &'static [&'static str],
    /// Formats of strings that the provider knows.
    pub(super) formats: &'static [&'static str],
    pub(super) patterns: Patterns,
    pub(super) lengths: Lengths,
    pub(super) optional: Optional,
    pub(super) maps: Maps,
    pub(super) tuples: Tuples,
    pub(super) recursion: Recursion,
    pub(super) root: Root,
    pub(super) enums: Enums,
    pub(super) limits: Limits,
    pub(super) unenforced: Unenforced,
}

/// Regular expressions for strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patterns {
    /// Known, without looking around, back references and word boundaries.
    Simple,
    /// Not known.
    Unknown,
}

/// `minItems` and `maxItems`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lengths {
    /// Known up to this number.
    UpTo(u64),
    /// Only `minItems`, with 0 or 1.
    NonEmpty,
}

/// Properties that may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Optional {
    /// Not known: such a property is required, and may be `null`.
    AsNull,
    /// Known. A property that may be left out need not be `null` too: each union counts against a limit.
    NotNull,
    /// Known.
    Kept,
}

/// Objects with keys that the schema does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maps {
    /// Not known: every object is closed.
    Unknown,
    /// Known, if the values have a schema.
    OfSchema,
}

/// Arrays with a schema for each position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tuples {
    /// Not known: any of the schemas is allowed at each position, and the description says the order.
    AsUnion,
    /// Known.
    Kept,
}

/// References that lead back to themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recursion {
    /// Known.
    Anywhere,
    /// Known only below a property that may be left out.
    BelowOptional,
    /// Not known.
    Nowhere,
}

/// The root of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// An object without alternatives; anything else is put into one.
    Object,
    /// Anything.
    Any,
}

/// The values of an `enum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enums {
    /// Text, numbers, booleans and `null`.
    Primitives,
    /// Text and numbers.
    TextAndNumbers,
}

/// The limits of a schema's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limits {
    /// Of sizes: properties, nesting, values, text.
    Sizes,
    /// Of choices: optional properties and unions.
    Choices,
    /// None that is documented with a number.
    None,
}

/// The schema that is sent where the provider does not enforce it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unenforced {
    /// The original: the provider reads all of JSON Schema.
    Original,
    /// The copy: the provider refuses keywords that it does not know in any case.
    Copy,
}

/// `types.py` says that nothing but the listed keywords is supported. Long bounds of arrays make a "constraint that has too
/// many states for serving" (googleapis/python-genai#660, linxule/openinterviewer#23); the provider names no number, and this
/// one is ours.
const GEMINI_LENGTH: u64 = 32;

const OPENAI: Rules = Rules {
    provider: "OpenAI",
    numbers: &[
        "multipleOf",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
    ],
    formats: &[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
    ],
    patterns: Patterns::Simple,
    lengths: Lengths::UpTo(u64::MAX),
    optional: Optional::AsNull,
    maps: Maps::Unknown,
    tuples: Tuples::AsUnion,
    recursion: Recursion::Anywhere,
    root: Root::Object,
    enums: Enums::Primitives,
    limits: Limits::Sizes,
    unenforced: Unenforced::Original,
};

const ANTHROPIC: Rules = Rules {
    provider: "Anthropic",
    numbers: &[],
    formats: &[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    ],
    // Documented as known within bounds; the official client sends none.
    patterns: Patterns::Unknown,
    lengths: Lengths::NonEmpty,
    optional: Optional::NotNull,
    maps: Maps::Unknown,
    tuples: Tuples::AsUnion,
    recursion: Recursion::Nowhere,
    // `input_schema` of a tool is an object; the documentation shows no other root for output.
    root: Root::Object,
    enums: Enums::Primitives,
    limits: Limits::Choices,
    unenforced: Unenforced::Original,
};

const GEMINI: Rules = Rules {
    provider: "Gemini",
    numbers: &["minimum", "maximum"],
    formats: &["date-time", "date", "time"],
    patterns: Patterns::Unknown,
    lengths: Lengths::UpTo(GEMINI_LENGTH),
    optional: Optional::Kept,
    maps: Maps::OfSchema,
    tuples: Tuples::Kept,
    recursion: Recursion::BelowOptional,
    root: Root::Any,
    enums: Enums::TextAndNumbers,
    limits: Limits::None,
    unenforced: Unenforced::Copy,
};

impl Dialect {
    pub(super) fn rules(self) -> &'static Rules {
        match self {
            Self::OpenAi => &OPENAI,
            Self::Anthropic => &ANTHROPIC,
            Self::Gemini => &GEMINI,
        }
    }
}
