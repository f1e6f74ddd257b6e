//! Lines of typed text.

use super::{CHOSEN, Canvas, Flow, Key, WRONG, Widget};
use crate::text::{BOLD, DIM, one_line, printable};

/// Reads an answer out of what was typed; the error explains what is wrong with it.
type Parse<T> = Box<dyn Fn(&str) -> Result<T, String> + Send>;

/// Completes the typed text as far as it is unambiguous.
type Complete = Box<dyn Fn(&str) -> String + Send>;

/// The part of a default and of an answer that is shown, in characters.
const SHOWN: usize = 60;
const SETTLED: usize = 500;

/// A line of text that is typed, or several.
pub(crate) struct Line<T> {
    prompt: String,
    parse: Parse<T>,
    default: Option<String>,
    /// Shown in place of the default.
    label: Option<&'static str>,
    hint: Option<String>,
    complete: Option<Complete>,
    editor: Option<fn(String) -> T>,
    /// Whether Enter begins a line instead of ending the text.
    many: bool,
    text: Vec<char>,
    cursor: usize,
    wrong: Option<String>,
}

impl<T> Line<T> {
    /// A prompt is shown as it is, what is typed behind it.
    pub(crate) fn new(prompt: &str, parse: impl Fn(&str) -> Result<T, String> + Send + 'static) -> Self {
        Self {
            prompt: printable(prompt),
            parse: Box::new(parse),
            default: None,
            label: None,
            hint: None,
            complete: None,
            editor: None,
            many: false,
            text: Vec::new(),
            cursor: 0,
            wrong: None,
        }
    }

    /// Sets the text for an empty line; it is parsed like typed text.
    pub(crate) fn default(mut self, default: Option<String>) -> Self {
        self.default = default;
        self
    }

    /// Shown in place of the default, to say what else there is.
    pub(crate) fn label(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }

    /// Told below the line.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable(&hint.into()));
        self
    }

    /// Sets the completion of Tab.
    pub(crate) fn complete(mut self, complete: impl Fn(&str) -> String + Send + 'static) -> Self {
        self.complete = Some(Box::new(complete));
        self
    }

    /// Ctrl-G answers with the text so far, for an editor.
    pub(crate) fn editor(mut self, editor: fn(String) -> T) -> Self {
        self.editor = Some(editor);
        self
    }

    /// Text of several lines, ended by an empty one or Ctrl-D.
    pub(crate) fn many(mut self, begun: &str) -> Self {
        self.many = true;
        self.text = clean(begun).collect();
        self.cursor = self.text.len();
        self
    }

    fn typed(&self) -> String {
        self.text.iter().collect()
    }

    fn submit(&mut self) -> Flow<T> {
        let typed = self.typed();
        let typed = typed.trim_end_matches('\n');
        let meant = match &self.default {
            Some(default) if typed.is_empty() => default,
            _ => typed,
        };
        match (self.parse)(meant) {
            Ok(answer) => Flow::Answer(answer),
            Err(reason) => {
                self.wrong = Some(printable(&reason));
                Flow::Ask
            }
        }
    }

    fn insert(&mut self, c: char) {
        self.text.insert(self.cursor, c);
        self.cursor += 1;
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.drain(from..to);
        self.cursor = from;
    }

    fn enter(&mut self) -> Flow<T> {
        let at_end = self.cursor == self.text.len();
        let on_empty = self.text.last().is_none_or(|c| *c == '\n');
        if self.many && !(at_end && on_empty) {
            self.insert('\n');
            return Flow::Ask;
        }
        self.submit()
    }

    fn end_of_input(&mut self) -> Flow<T> {
        if self.text.is_empty() {
            Flow::End
        } else if self.many {
            self.submit()
        } else {
            let next = (self.cursor + 1).min(self.text.len());
            self.text.drain(self.cursor..next);
            Flow::Ask
        }
    }

    /// The beginning of the word before the cursor.
    fn word_left(&self) -> usize {
        let before = &self.text[..self.cursor];
        let blanks = before.iter().rev().take_while(|c| c.is_whitespace()).count();
        let word = before.iter().rev().skip(blanks);
        self.cursor - blanks - word.take_while(|c| !c.is_whitespace()).count()
    }

    fn word_right(&self) -> usize {
        let behind = &self.text[self.cursor..];
        let blanks = behind.iter().take_while(|c| c.is_whitespace()).count();
        let word = behind.iter().skip(blanks);
        self.cursor + blanks + word.take_while(|c| !c.is_whitespace()).count()
    }

    /// The beginning of the cursor's line.
    fn line_start(&self) -> usize {
        let before = self.text[..self.cursor].iter().rposition(|c| *c == '\n');
        before.map_or(0, |feed| feed + 1)
    }

    fn line_end(&self) -> usize {
        let behind = self.text[self.cursor..].iter().position(|c| *c == '\n');
        behind.map_or(self.text.len(), |feed| self.cursor + feed)
    }

    fn complete_typed(&mut self) {
        if let Some(complete) = &self.complete {
            self.text = clean(&complete(&self.typed())).collect();
            self.cursor = self.text.len();
        }
    }

    fn edit(&mut self, key: Key) {
        match key {
            Key::Char(c) => self.insert(c),
            Key::AltEnter => self.insert('\n'),
            Key::Tab => self.complete_typed(),
            Key::Backspace | Key::Ctrl('h') => self.remove(self.cursor.saturating_sub(1), self.cursor),
            Key::Delete => self.remove(self.cursor, (self.cursor + 1).min(self.text.len())),
            Key::Ctrl('w') => self.remove(self.word_left(), self.cursor),
            Key::Ctrl('u') => self.remove(self.line_start(), self.cursor),
            Key::Ctrl('k') => self.remove(self.cursor, self.line_end()),
            Key::Left | Key::Ctrl('b') => self.cursor = self.cursor.saturating_sub(1),
            Key::Right | Key::Ctrl('f') => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::WordLeft => self.cursor = self.word_left(),
            Key::WordRight => self.cursor = self.word_right(),
            Key::Home | Key::Ctrl('a') => self.cursor = self.line_start(),
            Key::End | Key::Ctrl('e') => self.cursor = self.line_end(),
            Key::Up => {
                self.cursor = self.line_start().saturating_sub(1);
                self.cursor = self.line_start();
            }
            Key::Down => self.cursor = (self.line_end() + 1).min(self.text.len()),
            _ => {}
        }
    }

    fn draw_prompt(&self, canvas: &mut Canvas) {
        canvas.text(BOLD, &self.prompt);
        let shown = self
            .label
            .or(self.default.as_deref())
            .filter(|default| !default.is_empty());
        if let Some(default) = shown {
            canvas.text(DIM, &format!("[{}] ", one_line(default, SHOWN)));
        }
    }
}

/// Pasted text as an answer has it: line ends are one character each, and characters that move the cursor or turn a line
/// are left out, because an escape in its place would become part of the answer.
fn clean(text: &str) -> impl Iterator<Item = char> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let harmless = |c: &char| {
        (!c.is_control() || matches!(c, '\n' | '\t'))
            && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(harmless).collect::<Vec<_>>().into_iter()
}

impl<T> Widget for Line<T> {
    type Answer = T;

    fn draw(&self, canvas: &mut Canvas, _: usize) {
        self.draw_prompt(canvas);
        if self.many {
            canvas.line();
        }
        let before: String = self.text[..self.cursor].iter().collect();
        let behind: String = self.text[self.cursor..].iter().collect();
        canvas.plain(&before).cursor().plain(&behind);
        if let Some(wrong) = &self.wrong {
            canvas.line().text(WRONG, &format!("  {wrong}"));
        }
        if let Some(hint) = &self.hint {
            canvas.line().text(DIM, &format!("  {hint}"));
        }
    }

    fn draw_settled(&self, canvas: &mut Canvas, _: &T) {
        canvas.text(BOLD, &self.prompt);
        let typed = self.typed();
        let shown = match &self.default {
            Some(default) if typed.is_empty() => default,
            _ => &typed,
        };
        canvas.text(CHOSEN, &one_line(shown, SETTLED));
    }

    fn key(&mut self, key: Key) -> Flow<T> {
        self.wrong = None;
        match (key, self.editor) {
            (Key::Enter, _) => self.enter(),
            (Key::Ctrl('d'), _) => self.end_of_input(),
            (Key::Ctrl('g'), Some(editor)) => Flow::Answer(editor(self.typed())),
            (key, _) => {
                self.edit(key);
                Flow::Ask
            }
        }
    }

    fn paste(&mut self, text: &str) {
        self.wrong = None;
        for c in clean(text) {
            self.insert(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::prompt::looks;

    fn text(prompt: &str) -> Line<String> {
        Line::new(prompt, |typed| Ok(typed.to_owned()))
    }

    fn type_text<T>(line: &mut Line<T>, text: &str) {
        for c in text.chars() {
            assert!(matches!(line.key(Key::Char(c)), Flow::Ask));
        }
    }

    #[test]
    fn a_line_is_edited_as_in_a_shell() {
        let mut line = text("Name: ");
        type_text(&mut line, "one two  three");
        for key in [Key::Ctrl('w'), Key::WordLeft, Key::Delete, Key::Char('T')] {
            line.key(key);
        }
        assert_snapshot!(looks(&line), @"Name: one T▏wo");
        for key in [
            Key::Ctrl('k'),
            Key::Home,
            Key::Right,
            Key::Backspace,
            Key::Left,
            Key::Char('O'),
        ] {
            line.key(key);
        }
        assert_snapshot!(looks(&line), @"Name: O▏ne T");
        line.key(Key::End);
        line.key(Key::Ctrl('u'));
        assert_eq!(line.key(Key::Ctrl('d')), Flow::End);
    }

    #[test]
    fn an_empty_line_is_the_default() {
        let mut line = text("Branch ").default(Some("main".to_owned()));
        assert_snapshot!(looks(&line), @"Branch [main] ▏");
        assert_eq!(line.key(Key::Enter), Flow::Answer("main".to_owned()));
        type_text(&mut line, "next");
        assert_eq!(line.key(Key::Enter), Flow::Answer("next".to_owned()));
    }

    #[test]
    fn what_is_wrong_stands_below_until_the_next_key() {
        let number = |typed: &str| typed.parse::<u8>().map_err(|_| "type a number".to_owned());
        let mut line = Line::new("How many? ", number).hint("from 0 to 255");
        type_text(&mut line, "x");
        assert_eq!(line.key(Key::Enter), Flow::Ask);
        assert_snapshot!(looks(&line), @"
        How many? x▏
          type a number
          from 0 to 255
        ");
        line.key(Key::Backspace);
        type_text(&mut line, "7");
        assert_snapshot!(looks(&line), @"
        How many? 7▏
          from 0 to 255
        ");
        assert_eq!(line.key(Key::Enter), Flow::Answer(7));
    }

    #[test]
    fn a_long_line_goes_on_in_the_next_row() {
        let mut line = text("Tell me: ");
        type_text(&mut line, "this is longer than the narrow screen of a test");
        line.key(Key::WordLeft);
        assert_snapshot!(looks(&line), @"
        Tell me: this is longer than the narrow
         screen of a ▏test
        ");
    }

    #[test]
    fn pasted_text_has_several_lines_and_moves_no_cursor() {
        let mut line = text("Text: ");
        line.paste("one\r\ntwo\x1b[2J\rthree\u{202e}");
        assert_snapshot!(looks(&line), @"
        Text: one
        two[2J
        three▏
        ");
        line.key(Key::Up);
        line.key(Key::Char('>'));
        line.key(Key::Down);
        line.key(Key::AltEnter);
        assert_snapshot!(looks(&line), @"
        Text: one
        >two[2J

        ▏three
        ");
    }

    #[test]
    fn an_empty_line_ends_a_text_of_several() {
        let mut line = text("Text:").many("one");
        assert_eq!(line.key(Key::Enter), Flow::Ask);
        type_text(&mut line, "two");
        assert_eq!(line.key(Key::Enter), Flow::Ask);
        assert_snapshot!(looks(&line), @"
        Text:
        one
        two
        ▏
        ");
        assert_eq!(line.key(Key::Enter), Flow::Answer("one\ntwo".to_owned()));
        assert_eq!(line.key(Key::Ctrl('d')), Flow::Answer("one\ntwo".to_owned()));
    }

    #[test]
    fn tab_and_ctrl_g_do_nothing_unless_they_are_wanted() {
        let mut line = text("Path ");
        type_text(&mut line, "a");
        assert_eq!(line.key(Key::Tab), Flow::Ask);
        assert_eq!(line.key(Key::Ctrl('g')), Flow::Ask);
        assert_eq!(line.key(Key::Enter), Flow::Answer("a".to_owned()));
        let mut line = text("Path ")
            .complete(|typed| format!("{typed}bc"))
            .editor(|typed| format!("edit {typed}"));
        type_text(&mut line, "a");
        line.key(Key::Tab);
        assert_eq!(line.key(Key::Ctrl('g')), Flow::Answer("edit abc".to_owned()));
    }

    #[test]
    fn prompts_cannot_move_the_cursor() {
        assert_snapshot!(looks(&text("a\x1b[31m: ").default(Some("\x1b[2J\ntwo".to_owned()))), @r"a\u{1b}[31m: [\u{1b}[2J two] ▏");
    }
}
