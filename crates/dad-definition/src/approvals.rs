//! Which rule decides about a step or the call of a tool.

use std::collections::BTreeMap;

use dad_core::{ApprovalRule, HierarchyPath, NodeType, RuleDecision, internal::has_mask};
use derive_setters::Setters;
use globset::{GlobBuilder, GlobMatcher};
use serde_json::Value;

/// An execution that is about to begin.
#[derive(Clone, Copy, Debug, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Intended<'a> {
    /// The root component of the run.
    pub agent: &'a str,
    /// The step or component.
    pub path: &'a HierarchyPath,
    /// The type of the node; `None` of a component and of the call of a tool.
    pub node: Option<&'a NodeType>,
    /// The tool that a model calls.
    pub tool: Option<&'a str>,
    /// Rendered settings, variables of a component, or the arguments of a tool.
    pub arguments: &'a Value,
    /// The execution that the call of a tool leads to: the type of the node, and its settings.
    pub target: Option<(&'a NodeType, &'a Value)>,
}

impl<'a> Intended<'a> {
    /// The entering of a component with these variables, or the execution of a step whose node and settings are set afterwards.
    #[must_use]
    pub fn new(agent: &'a str, path: &'a HierarchyPath, arguments: &'a Value) -> Self {
        Self {
            agent,
            path,
            node: None,
            tool: None,
            arguments,
            target: None,
        }
    }
}

/// A rule that can be compared.
///
/// ```
/// use dad_core::{ApprovalRule, RuleDecision};
/// use dad_definition::{Intended, ReadyRule};
/// use serde_json::json;
///
/// let rule: ApprovalRule = serde_json::from_value(json!({
///     "tool": "run",
///     "arguments": { "command": ["cargo", "test", { "$rest": { "$any": true } }] },
///     "decision": "allow",
/// }))?;
/// let rule = ReadyRule::new(rule)?;
/// let path = "a_root.main.ask".parse()?;
/// let holds = |command| {
///     let arguments = json!({ "command": command });
///     rule.holds(&Intended::new("a_root", &path, &arguments).tool("run"))
/// };
/// assert!(holds(json!(["cargo", "test", "--quiet"])));
/// assert!(!holds(json!(["cargo", "tests"])) && !holds(json!("cargo test; rm -rf /")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReadyRule {
    rule: ApprovalRule,
    pattern: Option<Pattern>,
}

impl ReadyRule {
    /// Reads the pattern of a rule.
    ///
    /// # Errors
    /// What of the rule cannot be meant.
    pub fn new(rule: ApprovalRule) -> Result<Self, String> {
        if rule.element.is_none() && rule.node.is_none() && rule.tool.is_none() {
            return Err("a rule says what it is about: `tool`, `node` or `element`".to_owned());
        }
        if rule.node.is_some() && rule.tool.is_some() {
            return Err("a rule is about a `node` or a `tool`, and not both".to_owned());
        }
        let pattern = match (&rule.arguments, &rule.exactly) {
            (Some(_), Some(_)) => return Err("`arguments` and `exactly` exclude each other".to_owned()),
            (Some(pattern), None) if !pattern.is_object() => {
                return Err("`arguments` is an object, such as { path: … }".to_owned());
            }
            (Some(pattern), None) => Some(Pattern::read(pattern, rule.decision)?),
            (None, Some(value)) => Some(Pattern::Equal(value.clone())),
            (None, None) => None,
        };
        Ok(Self { rule, pattern })
    }

    /// The rule as it was written.
    #[must_use]
    pub fn rule(&self) -> &ApprovalRule {
        &self.rule
    }

    /// Whether the rule is about something that is to execute, for which a call stands by its tool and by the node behind it. An `allow` has to name the tool if it is about a call, and every
    /// argument that is given; for the others what they name is enough. What holds a masked value is not known exactly.
    #[must_use]
    pub fn holds(&self, intended: &Intended<'_>) -> bool {
        let rule = &self.rule;
        let allows = rule.decision == RuleDecision::Allow;
        let target = intended.target.filter(|_| rule.node.is_some());
        let (node, arguments) = match target {
            Some((node, settings)) => (Some(node), settings),
            None => (intended.node, intended.arguments),
        };
        let is_known = rule.tool.is_some() || intended.tool.is_none();
        if allows && (!is_known || (rule.exactly.is_some() && has_mask(arguments))) {
            return false;
        }
        let is =
            |wanted: Option<&str>, found: Option<&str>| wanted.is_none_or(|wanted| found == Some(wanted));
        is(
            rule.agent.as_ref().map(dad_core::ElementId::as_str),
            Some(intended.agent),
        ) && is(
            rule.node.as_ref().map(NodeType::as_str),
            node.map(NodeType::as_str),
        ) && is(rule.tool.as_deref(), intended.tool)
            && rule
                .element
                .as_ref()
                .is_none_or(|element| element.matches(intended.path))
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| pattern.fits(arguments, allows))
    }
}

/// The rule among several that decides: the most careful that holds, and of those the first.
pub fn deciding<'r>(
    rules: impl IntoIterator<Item = &'r ReadyRule>,
    intended: &Intended<'_>,
) -> Option<&'r ReadyRule> {
    let holding = rules.into_iter().filter(|rule| rule.holds(intended));
    holding.reduce(|first, other| {
        if other.rule.decision > first.rule.decision {
            other
        } else {
            first
        }
    })
}

/// A pattern of JSON. Texts are compared whole: a text that a shell reads is never matched by its beginning.
#[derive(Clone, Debug)]
enum Pattern {
    Equal(Value),
    /// `{ $any: true }`
    Any,
    /// `{ $glob: "src/**" }`
    Glob(GlobMatcher),
    /// `{ $one_of: [a, b] }`
    OneOf(Vec<Pattern>),
    /// `{ $some: … }`: a list of whose items one fits.
    Some(Box<Pattern>),
    /// `{ $each: … }`: a list whose items all fit.
    Each(Box<Pattern>),
    /// A list item by item; `{ $rest: … }` as its last one is about all that follow.
    List(Vec<Pattern>, Option<Box<Pattern>>),
    Object(BTreeMap<String, Pattern>),
}

impl Pattern {
    fn read(value: &Value, decision: RuleDecision) -> Result<Self, String> {
        let read = |value: &Value| Self::read(value, decision);
        match value {
            Value::Array(items) => {
                let rest = items.last().and_then(|last| last.as_object()?.get("$rest"));
                let single = items.split_last().map_or(&[][..], |(_, before)| before);
                let items = if rest.is_some() { single } else { items };
                let items = items.iter().map(read).collect::<Result<_, _>>()?;
                Ok(Self::List(items, rest.map(read).transpose()?.map(Box::new)))
            }
            Value::Object(fields) => match fields.iter().find(|(name, _)| name.starts_with('$')) {
                Some((name, of)) if fields.len() == 1 => Self::matcher(name, of, decision),
                Some((name, _)) => Err(format!("`{name}` must be the only key")),
                None => {
                    let fields = fields
                        .iter()
                        .map(|(name, value)| Ok((name.clone(), read(value)?)));
                    fields.collect::<Result<_, String>>().map(Self::Object)
                }
            },
            value => Ok(Self::Equal(value.clone())),
        }
    }

    fn matcher(name: &str, of: &Value, decision: RuleDecision) -> Result<Self, String> {
        let read = |value: &Value| Self::read(value, decision);
        match (name, of) {
            ("$any", Value::Bool(true)) => Ok(Self::Any),
            ("$any", _) => Err("`$any` is written { $any: true }".to_owned()),
            ("$glob", Value::String(glob)) => {
                let mut builder = GlobBuilder::new(glob);
                let built = builder.literal_separator(true).build();
                let glob = built.map_err(|error| format!("`{glob}` is no glob: {}", error.kind()))?;
                Ok(Self::Glob(glob.compile_matcher()))
            }
            ("$glob", _) => Err("`$glob` is a text, such as { $glob: \"src/**\" }".to_owned()),
            ("$one_of", Value::Array(items)) => {
                let items = items.iter().map(read).collect::<Result<_, _>>()?;
                Ok(Self::OneOf(items))
            }
            ("$one_of", _) => Err("`$one_of` is a list".to_owned()),
            ("$each", of) => Ok(Self::Each(Box::new(read(of)?))),
            ("$some", _) if decision == RuleDecision::Allow => Err(
                "`$some` is for `deny` and `ask`: an `allow` has to name every item, such as by `$each`"
                    .to_owned(),
            ),
            ("$some", of) => Ok(Self::Some(Box::new(read(of)?))),
            ("$rest", _) => Err("`$rest` stands at the end of a list".to_owned()),
            _ => {
                let known = ["$any", "$glob", "$one_of", "$each", "$some", "$rest"];
                let near = dad_core::nearest(name, known).map(|near| format!(", did you mean `{near}`?"));
                Err(format!(
                    "`{name}` is not known{}; there are {}",
                    near.unwrap_or_default(),
                    known.join(", ")
                ))
            }
        }
    }

    /// Whether a value fits. With `every` it is to be all that is meant: an object has no further fields but null ones, a text has
    /// one reading. Without, it fits if it may be what is meant, however it is spelt.
    fn fits(&self, value: &Value, every: bool) -> bool {
        match (self, value) {
            (Self::Equal(Value::Number(wanted)), Value::Number(number)) if !every => {
                wanted == number || wanted.as_f64() == number.as_f64()
            }
            (Self::Equal(wanted), value) => wanted == value,
            (Self::Any, _) => true,
            (Self::Glob(glob), Value::String(text)) if every => is_plain(text) && glob.is_match(text),
            (Self::Glob(glob), Value::String(text)) => glob.is_match(text) || may_lead_to(glob, text),
            (Self::Some(pattern), Value::Array(items)) => items.iter().any(|item| pattern.fits(item, every)),
            (Self::OneOf(patterns), value) => patterns.iter().any(|pattern| pattern.fits(value, every)),
            (Self::Each(pattern), Value::Array(items)) => items.iter().all(|item| pattern.fits(item, every)),
            (Self::List(patterns, rest), Value::Array(items)) => {
                let begins = items.len() >= patterns.len()
                    && patterns
                        .iter()
                        .zip(items)
                        .all(|(pattern, item)| pattern.fits(item, every));
                let mut more = items.iter().skip(patterns.len());
                begins
                    && match rest {
                        Some(rest) => more.all(|item| rest.fits(item, every)),
                        None => more.next().is_none(),
                    }
            }
            (Self::Object(patterns), Value::Object(fields)) => {
                let named = |(name, pattern): (&String, &Pattern)| {
                    pattern.fits(fields.get(name).unwrap_or(&Value::Null), every)
                };
                let is_named =
                    |(name, value): (&String, &Value)| value.is_null() || patterns.contains_key(name);
                patterns.iter().all(named) && (!every || fields.iter().all(is_named))
            }
            _ => false,
        }
    }
}

/// Whether a text is one that a glob may be about: a path or a word. What a shell could take for more than one word is not, and
/// no path that leads out of where it begins.
fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@:,=%~^#".contains(c);
    !text.is_empty() && text.chars().all(is_plain) && !text.split('/').any(|name| name == "..")
}

/// Whether a text is a path to what a glob is about, written in a longer way; of one that leads out of where it begins it is not
/// known.
fn may_lead_to(glob: &GlobMatcher, text: &str) -> bool {
    let mut names = Vec::new();
    for name in text.split('/').filter(|name| !matches!(*name, "" | ".")) {
        match name {
            ".." if names.pop().is_none() => return true,
            ".." => {}
            name => names.push(name),
        }
    }
    let root = if text.starts_with('/') { "/" } else { "" };
    glob.is_match(format!("{root}{}", names.join("/")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn holds(rule: &Value, arguments: &Value) -> bool {
        let mut rule = rule.clone();
        rule["tool"] = "t".into();
        let rule = ReadyRule::new(serde_json::from_value(rule).unwrap()).unwrap();
        rule.holds(&Intended {
            agent: "r",
            path: &"r.f.ask".parse().unwrap(),
            node: None,
            tool: Some("t"),
            arguments,
            target: None,
        })
    }

    #[test]
    fn an_allow_names_every_argument_and_a_deny_those_that_matter() {
        let given = json!({ "path": "a", "mode": "w" });
        for (decision, wanted) in [("allow", false), ("ask", true), ("deny", true)] {
            let rule = json!({ "arguments": { "path": "a" }, "decision": decision });
            assert_eq!(holds(&rule, &given), wanted, "{decision}");
        }
        let rule = json!({ "arguments": { "path": "a", "mode": { "$any": true } }, "decision": "allow" });
        assert!(holds(&rule, &given));
        assert!(holds(&rule, &json!({ "path": "a", "other": null })));
        assert!(holds(&json!({ "exactly": given, "decision": "allow" }), &given));
        assert!(!holds(
            &json!({ "exactly": { "path": "a" }, "decision": "deny" }),
            &given
        ));
    }

    #[test]
    fn a_glob_is_about_one_word_and_no_way_out() {
        let fits = |text: &str| {
            holds(
                &json!({ "arguments": { "p": { "$glob": "src/**" } }, "decision": "allow" }),
                &json!({ "p": text }),
            )
        };
        assert!(fits("src/a.rs") && fits("src/größe/b.rs"));
        for text in [
            "src/../secret",
            "src/a; rm -rf /",
            "src/$(id)",
            "src/a\nb",
            "src/a b",
            "src/`id`",
            "src/\u{202e}a",
            "lib/a.rs",
            "",
        ] {
            assert!(!fits(text), "{text:?}");
        }
    }

    #[test]
    fn a_deny_is_about_a_path_however_it_is_written() {
        let denied = |text: &str| {
            holds(
                &json!({ "arguments": { "p": { "$glob": "secrets/**" } }, "decision": "deny" }),
                &json!({ "p": text }),
            )
        };
        for text in [
            "secrets/key",
            "./secrets/key",
            "secrets//key",
            "src/../secrets/key",
            "secrets/my key",
            "secrets/$HOME",
            "secrets/a\nb",
            "../project/secrets/key",
        ] {
            assert!(denied(text), "{text:?}");
        }
        for text in ["src/secrets.rs", "src/../a.rs", "/secrets/key", "a b"] {
            assert!(!denied(text), "{text:?}");
        }
        let absolute = json!({ "arguments": { "p": { "$glob": "/etc/**" } }, "decision": "ask" });
        assert!(holds(&absolute, &json!({ "p": "/usr/..//etc/passwd" })));
    }

    #[test]
    fn a_deny_is_about_a_number_however_it_is_written() {
        let rule = |decision: &str| json!({ "arguments": { "n": 1 }, "decision": decision });
        assert!(holds(&rule("deny"), &json!({ "n": 1.0 })) && holds(&rule("ask"), &json!({ "n": 1 })));
        assert!(!holds(&rule("deny"), &json!({ "n": 2 })) && !holds(&rule("allow"), &json!({ "n": 1.0 })));
    }

    #[test]
    fn a_deny_finds_one_item_of_a_list() {
        let remove = json!({ "commands": { "$some": ["rm", { "$rest": { "$any": true } }] } });
        let rule = json!({ "arguments": remove, "decision": "deny" });
        assert!(holds(
            &rule,
            &json!({ "commands": [["true"], ["rm", "-r", "a"]] })
        ));
        assert!(!holds(&rule, &json!({ "commands": [["true"], ["echo", "rm"]] })));
        assert!(!holds(&rule, &json!({ "commands": [] })));
    }

    #[test]
    fn an_allow_of_a_step_does_not_allow_its_calls_of_tools() {
        let path: HierarchyPath = "r.f.ask".parse().unwrap();
        let rule = |decision: &str| {
            ReadyRule::new(serde_json::from_value(json!({ "element": "ask", "decision": decision })).unwrap())
                .unwrap()
        };
        let intended = |tool| Intended {
            agent: "r",
            path: &path,
            node: None,
            tool,
            arguments: &Value::Null,
            target: None,
        };
        assert!(rule("allow").holds(&intended(None)) && !rule("allow").holds(&intended(Some("run"))));
        assert!(rule("deny").holds(&intended(Some("run"))) && rule("ask").holds(&intended(Some("run"))));
    }

    #[test]
    fn an_agreement_to_a_masked_value_covers_no_other_that_is_masked() {
        let given = json!({ "commands": [["curl", "-d", "[redacted]"]] });
        let rule = |decision: &str| json!({ "exactly": given, "decision": decision });
        assert!(!holds(&rule("allow"), &given) && holds(&rule("deny"), &given));
    }

    #[test]
    fn what_looks_like_a_pattern_in_arguments_is_none() {
        let given = json!({ "p": { "$any": true } });
        assert!(holds(&json!({ "exactly": given, "decision": "allow" }), &given));
        assert!(!holds(
            &json!({ "exactly": given, "decision": "allow" }),
            &json!({ "p": "x" })
        ));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let wrong = |rule: Value| {
            let rule = serde_json::from_value(rule).map_err(|error| error.to_string());
            rule.and_then(|rule| ReadyRule::new(rule).map(drop)).unwrap_err()
        };
        for (rule, reported) in [
            (json!({ "decision": "allow" }), "`tool`, `node` or `element`"),
            (
                json!({ "tool": "a", "node": "b", "decision": "allow" }),
                "not both",
            ),
            (
                json!({ "tool": "a", "arguments": [], "decision": "allow" }),
                "is an object",
            ),
            (
                json!({ "tool": "a", "arguments": { "a": { "$golb": "x" } }, "decision": "ask" }),
                "did you mean `$glob`?",
            ),
            (
                json!({ "tool": "a", "arguments": { "a": { "$glob": "[" } }, "decision": "ask" }),
                "is no glob",
            ),
            (
                json!({ "tool": "a", "arguments": { "a": [{ "$rest": 1 }, 2] }, "decision": "ask" }),
                "at the end of a list",
            ),
            (
                json!({ "tool": "a", "arguments": { "a": { "$some": "x" } }, "decision": "allow" }),
                "`$some` is for `deny` and `ask`",
            ),
            (
                json!({ "tool": "a", "arguments": {}, "exactly": {}, "decision": "ask" }),
                "exclude each other",
            ),
            (json!({ "tool": "a" }), "missing field `decision`"),
            (json!({ "tol": "a", "decision": "ask" }), "unknown field `tol`"),
            (json!({ "tool": "a", "decision": "yes" }), "unknown variant `yes`"),
        ] {
            let said = wrong(rule.clone());
            assert!(said.contains(reported), "{rule}: {said}");
        }
    }

    #[test]
    fn the_most_careful_rule_decides() {
        let rule = |decision: &str| {
            ReadyRule::new(serde_json::from_value(json!({ "tool": "t", "decision": decision })).unwrap())
                .unwrap()
        };
        let intended = Intended {
            agent: "r",
            path: &"r.a".parse().unwrap(),
            node: None,
            tool: Some("t"),
            arguments: &Value::Null,
            target: None,
        };
        let rules = [rule("allow"), rule("deny"), rule("ask")];
        let decides = |rules: &[ReadyRule]| deciding(rules, &intended).map(|rule| rule.rule().decision);
        assert_eq!(decides(&rules), Some(RuleDecision::Deny));
        assert_eq!(decides(&rules[..1]), Some(RuleDecision::Allow));
        assert_eq!(decides(&[]), None);
    }
}
