//! Menus with one or several choices.

use super::{CHOSEN, Canvas, Flow, Key, Widget};
use crate::text::{BOLD, DIM, one_line, printable};

/// One of the things to choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) label: String,
    /// The explanation, if the label needs one.
    pub(crate) detail: String,
}

impl Item {
    pub(crate) fn new(label: &str, detail: &str) -> Self {
        Self {
            label: one_line(label, LABEL),
            detail: one_line(detail, LABEL),
        }
    }
}

/// The part of a label that is shown, in characters.
const LABEL: usize = 70;

/// The rows of a screen that a menu leaves to other things.
const OTHER_ROWS: usize = 4;

/// A list to choose one from, or several.
pub(crate) struct Menu {
    prompt: String,
    items: Vec<Item>,
    at: usize,
    /// Which are marked, where several can be chosen.
    marked: Option<Vec<bool>>,
    /// Whether it decides about something that cannot be taken back.
    decides: bool,
}

impl Menu {
    pub(crate) fn one(prompt: &str, items: Vec<Item>, at: usize) -> Self {
        Self {
            prompt: printable(prompt),
            at: at.min(items.len().saturating_sub(1)),
            items,
            marked: None,
            decides: false,
        }
    }

    /// The same, for something that cannot be taken back: only a key that is pressed when the choice is seen makes it.
    pub(crate) fn deciding(self) -> Self {
        Self {
            decides: true,
            ..self
        }
    }

    pub(crate) fn several(prompt: &str, items: Vec<Item>, marked: &[usize]) -> Self {
        let is_marked = (0..items.len()).map(|index| marked.contains(&index)).collect();
        Self {
            marked: Some(is_marked),
            ..Self::one(prompt, items, 0)
        }
    }

    fn chosen(&self) -> Vec<usize> {
        match &self.marked {
            None => vec![self.at],
            Some(marked) => (0..marked.len()).filter(|index| marked[*index]).collect(),
        }
    }

    /// The items that are shown: those around the one the keys are at.
    fn window(&self, height: usize) -> std::ops::Range<usize> {
        let rows = height
            .saturating_sub(OTHER_ROWS)
            .clamp(1, self.items.len().max(1));
        let last = self.items.len().saturating_sub(rows);
        let first = self.at.saturating_sub(rows / 2).min(last);
        first..(first + rows).min(self.items.len())
    }

    fn draw_item(&self, canvas: &mut Canvas, index: usize) {
        let is_here = index == self.at;
        let style = if is_here { CHOSEN } else { anstyle::Style::new() };
        let mark = match self.marked.as_ref().map(|marked| marked[index]) {
            None => "",
            Some(true) => "[x] ",
            Some(false) => "[ ] ",
        };
        let Item { label, detail } = &self.items[index];
        let arrow = if is_here { "›" } else { " " };
        canvas.line().text(style, &format!("  {arrow} {mark}{label}"));
        if !detail.is_empty() {
            let longest = self.items.iter().map(|item| item.label.chars().count()).max();
            let blanks = longest.unwrap_or(0).saturating_sub(label.chars().count());
            canvas.text(DIM, &format!("{:blanks$}  {detail}", ""));
        }
    }
}

impl Widget for Menu {
    type Answer = Vec<usize>;

    fn draw(&self, canvas: &mut Canvas, height: usize) {
        canvas.text(BOLD, &self.prompt);
        let window = self.window(height);
        let hidden = self.items.len() - window.len();
        for index in window {
            self.draw_item(canvas, index);
        }
        let keys = match self.marked {
            None => "↑ ↓ to move, Enter to choose",
            Some(_) => "↑ ↓ to move, Space to mark, Enter to go on",
        };
        let more = match hidden {
            0 => String::new(),
            hidden => format!(", {hidden} more"),
        };
        canvas.line().text(DIM, &format!("  {keys}{more}"));
    }

    fn draw_settled(&self, canvas: &mut Canvas, answer: &Vec<usize>) {
        let labels: Vec<&str> = answer
            .iter()
            .map(|index| self.items[*index].label.as_str())
            .collect();
        let shown = if labels.is_empty() {
            "none".to_owned()
        } else {
            labels.join(", ")
        };
        canvas.text(BOLD, &self.prompt).plain(" ").text(CHOSEN, &shown);
    }

    fn key(&mut self, key: Key) -> Flow<Vec<usize>> {
        let count = self.items.len().max(1);
        match key {
            Key::Enter => return Flow::Answer(self.chosen()),
            Key::Ctrl('d') => return Flow::End,
            Key::Up | Key::Char('k') | Key::Ctrl('p') => self.at = (self.at + count - 1) % count,
            Key::Down | Key::Char('j') | Key::Ctrl('n') | Key::Tab => self.at = (self.at + 1) % count,
            Key::Home => self.at = 0,
            Key::End => self.at = count - 1,
            Key::Char(' ') => {
                if let Some(marked) = &mut self.marked {
                    marked[self.at] = !marked[self.at];
                }
            }
            Key::Char(digit @ '1'..='9') => {
                let index = digit as usize - '1' as usize;
                if index < count {
                    self.at = index;
                }
            }
            _ => {}
        }
        Flow::Ask
    }

    fn paste(&mut self, _: &str) {}

    fn ignores_earlier_keys(&self) -> bool {
        self.decides
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::prompt::looks;

    fn items(count: usize) -> Vec<Item> {
        (1..=count)
            .map(|number| Item::new(&format!("item {number}"), ""))
            .collect()
    }

    #[test]
    fn one_is_chosen() {
        let items = vec![
            Item::new("full", "all of each file"),
            Item::new("none", "names only"),
        ];
        let mut menu = Menu::one("How much?", items, 1);
        assert_snapshot!(looks(&menu), @"
        How much?
            full  all of each file
          › none  names only
          ↑ ↓ to move, Enter to choose
        ");
        menu.key(Key::Down);
        assert_eq!(
            menu.key(Key::Enter),
            Flow::Answer(vec![0]),
            "behind the last comes the first"
        );
        menu.key(Key::Char('2'));
        menu.key(Key::Char('9'));
        assert_eq!(menu.key(Key::Enter), Flow::Answer(vec![1]));
        assert_eq!(menu.key(Key::Ctrl('d')), Flow::End);
    }

    #[test]
    fn several_are_marked() {
        let mut menu = Menu::several("Which?", items(3), &[1]);
        for key in [
            Key::Char(' '),
            Key::Down,
            Key::Char(' '),
            Key::End,
            Key::Char(' '),
        ] {
            menu.key(key);
        }
        assert_snapshot!(looks(&menu), @"
        Which?
            [x] item 1
            [ ] item 2
          › [x] item 3
          ↑ ↓ to move, Space to mark, Enter to
        go on
        ");
        assert_eq!(menu.key(Key::Enter), Flow::Answer(vec![0, 2]));
    }

    #[test]
    fn a_long_list_shows_what_is_around() {
        let mut menu = Menu::one("Which?", items(20), 0);
        assert_snapshot!(looks(&menu), @"
        Which?
          › item 1
            item 2
            item 3
            item 4
          ↑ ↓ to move, Enter to choose, 16 more
        ");
        menu.key(Key::Up);
        assert_snapshot!(looks(&menu), @"
        Which?
            item 17
            item 18
            item 19
          › item 20
          ↑ ↓ to move, Enter to choose, 16 more
        ");
    }

    #[test]
    fn names_from_outside_cannot_move_the_cursor() {
        let menu = Menu::one("Which\x1b[2J?", vec![Item::new("a\nb\x1b]0;c\x07", "")], 7);
        assert_snapshot!(looks(&menu), @r"
        Which\u{1b}[2J?
          › a b\u{1b}]0;c\u{7}
          ↑ ↓ to move, Enter to choose
        ");
    }
}
