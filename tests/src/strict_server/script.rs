//! The scripted model: what it does follows from the prompt and from what it was given.

use serde_json::{Value, json};

use super::Call;
use super::example::example;

/// The model's view of a request, which all protocols have in common.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The last text of the user.
    pub(super) prompt: String,
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Choice,
    /// The schema of the answer.
    pub(super) schema: Option<Value>,
    /// The number of turns with calls since the last prompt.
    pub(super) rounds: usize,
    pub(super) thinks: bool,
    /// Whether no turn of a model stands before it.
    pub(super) begins: bool,
}

#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) schema: Value,
}

#[derive(Debug, Default, PartialEq)]
pub(super) enum Choice {
    #[default]
    Auto,
    Never,
    Any,
    Only(String),
}

/// The model's next turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The thoughts before it, if it was asked to think.
    pub(super) thoughts: Option<String>,
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    pub(super) refuses: bool,
    /// The number of the answer, for ids that differ.
    pub(super) number: usize,
}

/// The tokens that every answer reports.
pub(super) const INPUT: u64 = 10;
pub(super) const OUTPUT: u64 = 5;

impl Asked {
    /// The next turn. A prompt with "refuse" is refused; "N rounds" calls tools so often, "parallel" two at a time; a tool that is
    /// named behind "finally" is called after that.
    pub(super) fn turn(&self, number: usize) -> Turn {
        let thoughts = self.thinks.then(|| format!("Thought number {number}: wäge ab."));
        let mut turn = Turn {
            thoughts,
            number,
            ..Turn::default()
        };
        if self.prompt.contains("refuse") {
            turn.refuses = true;
            return turn;
        }
        let called = self.called();
        turn.calls = called
            .iter()
            .enumerate()
            .map(|(at, tool)| Call {
                id: format!("call_{number}_{at}"),
                name: tool.name.clone(),
                arguments: example(&tool.schema),
            })
            .collect();
        if turn.calls.is_empty() {
            turn.text = match &self.schema {
                Some(schema) => example(schema).to_string(),
                None => format!("Grüezi: {} rounds of tools are behind us.", self.rounds),
            };
        }
        turn
    }

    fn called(&self) -> Vec<&Tool> {
        let closing = self
            .prompt
            .split_once("finally ")
            .map(|(_, name)| name.trim_end_matches('.'));
        let is_closing = |tool: &&Tool| Some(tool.name.as_str()) == closing;
        if let Choice::Only(name) = &self.choice {
            return self.tools.iter().filter(|tool| tool.name == *name).collect();
        }
        if self.choice == Choice::Never {
            return Vec::new();
        }
        if self.rounds < self.wanted_rounds() {
            let at_once = if self.prompt.contains("parallel") { 2 } else { 1 };
            let open = self.tools.iter().filter(|tool| !is_closing(tool));
            return open.cycle().skip(self.rounds).take(at_once).collect();
        }
        let closing: Vec<&Tool> = self.tools.iter().filter(is_closing).collect();
        if closing.is_empty() && self.choice == Choice::Any {
            return self.tools.last().into_iter().collect();
        }
        closing
    }

    fn wanted_rounds(&self) -> usize {
        let words: Vec<&str> = self.prompt.split_whitespace().collect();
        let number = words.windows(2).find(|pair| pair[1].starts_with("round"));
        number.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
    }
}

/// A tool as requests have it, with the schema of one without parameters.
pub(super) fn tool(name: Option<&Value>, schema: Option<&Value>) -> Tool {
    let none = || json!({ "type": "object", "properties": {} });
    Tool {
        name: name.and_then(Value::as_str).unwrap_or_default().to_owned(),
        schema: schema.cloned().unwrap_or_else(none),
    }
}
