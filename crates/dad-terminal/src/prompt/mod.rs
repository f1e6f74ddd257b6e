//! Prompts: what they look like and how they answer keys, apart from the terminal they are shown on.

mod canvas;
mod drive;
mod editor;
mod line;
mod menu;
mod raw;

pub(crate) use canvas::{Canvas, Drawing};
pub(crate) use drive::{Key, drive, size};
pub(crate) use editor::{edit, editor, pager, result_pager};
pub use editor::{open_in_browser, open_in_editor};
pub(crate) use line::Line;
pub(crate) use menu::{Item, Menu};
pub(crate) use raw::KeptRaw;

use anstyle::{AnsiColor, Style};

/// For what is wrong with an answer.
pub(crate) const WRONG: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
/// For what a key would choose.
pub(crate) const CHOSEN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));

/// Something that is asked.
pub(crate) trait Widget {
    type Answer;

    /// Draws it, on a screen with `height` rows.
    fn draw(&self, canvas: &mut Canvas, height: usize);

    /// Draws the part that stays on the screen when it is answered.
    fn draw_settled(&self, canvas: &mut Canvas, answer: &Self::Answer);

    fn key(&mut self, key: Key) -> Flow<Self::Answer>;

    /// Text that was pasted: its line feeds are no keys.
    fn paste(&mut self, text: &str);

    /// Whether keys that were pressed before it appeared are meant for something else.
    fn ignores_earlier_keys(&self) -> bool {
        false
    }
}

/// The effect of a key.
#[derive(Debug, PartialEq)]
pub(crate) enum Flow<A> {
    Ask,
    Answer(A),
    /// The person will say no more.
    End,
}

/// The text of a widget on a narrow screen, with the cursor as `▏`.
#[cfg(test)]
fn looks(widget: &impl Widget) -> String {
    let mut canvas = Canvas::new(40);
    widget.draw(&mut canvas, 8);
    let Drawing { rows, cursor } = canvas.finish();
    let mut rows: Vec<String> = rows
        .iter()
        .map(|row| anstream::adapter::strip_str(row).to_string())
        .enumerate()
        .map(|(index, row)| {
            if cursor.is_some_and(|(at, _)| at == index) {
                row
            } else {
                row.trim_end().to_owned()
            }
        })
        .collect();
    if let Some((row, column)) = cursor {
        let at = rows[row]
            .char_indices()
            .nth(column)
            .map_or(rows[row].len(), |(at, _)| at);
        rows[row].insert(at, '▏');
    }
    rows.join("\n")
}
