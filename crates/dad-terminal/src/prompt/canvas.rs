//! Drawings of prompts, with rows that fit the screen.

use anstyle::Style;
use unicode_width::UnicodeWidthChar;

/// A drawing of a prompt: rows that fit the screen, and the place of the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drawing {
    /// Without line ends, with their colours.
    pub(crate) rows: Vec<String>,
    /// Row and column from 0; a menu has none.
    pub(crate) cursor: Option<(usize, usize)>,
}

impl Drawing {
    /// The part that fits a screen: the rows around the cursor, or the last ones.
    pub(crate) fn fit(mut self, height: usize) -> Self {
        let height = height.max(1);
        if self.rows.len() > height {
            let last = self.rows.len() - height;
            let first = self
                .cursor
                .map_or(last, |(row, _)| last.min(row.saturating_sub(height - 1)));
            self.rows = self.rows.drain(first..first + height).collect();
            self.cursor = self.cursor.map(|(row, column)| (row - first, column));
        }
        self
    }
}

/// Lays text out in rows of a width: wraps it by the width that its characters have on a screen.
pub(crate) struct Canvas {
    width: usize,
    column: usize,
    row: String,
    done: Drawing,
}

impl Canvas {
    /// The last column stays free: terminals differ in where the cursor stands behind it.
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width: width.saturating_sub(1).max(10),
            column: 0,
            row: String::new(),
            done: Drawing::default(),
        }
    }

    /// Adds text; line feeds in it begin rows.
    pub(crate) fn text(&mut self, style: Style, text: &str) -> &mut Self {
        self.row.push_str(&style.render().to_string());
        for c in text.chars() {
            if c == '\n' {
                self.wrap(style);
                continue;
            }
            let (shown, width) = match c {
                // Its width depends on where it stands; as blanks it has one.
                '\t' => ("    ".to_owned(), 4),
                c => (c.to_string(), c.width().unwrap_or(0)),
            };
            if self.column + width > self.width {
                self.wrap(style);
            }
            self.row.push_str(&shown);
            self.column += width;
        }
        self.row.push_str(&style.render_reset().to_string());
        self
    }

    pub(crate) fn plain(&mut self, text: &str) -> &mut Self {
        self.text(Style::new(), text)
    }

    /// Begins a row.
    pub(crate) fn line(&mut self) -> &mut Self {
        self.done.rows.push(std::mem::take(&mut self.row));
        self.column = 0;
        self
    }

    fn wrap(&mut self, style: Style) {
        self.row.push_str(&style.render_reset().to_string());
        self.line();
        self.row.push_str(&style.render().to_string());
    }

    /// The cursor stands here.
    pub(crate) fn cursor(&mut self) -> &mut Self {
        if self.column >= self.width {
            self.line();
        }
        self.done.cursor = Some((self.done.rows.len(), self.column));
        self
    }

    pub(crate) fn finish(mut self) -> Drawing {
        self.line();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_by_the_width_of_its_characters() {
        let mut canvas = Canvas::new(11);
        canvas.plain("0123456789ab\n漢字漢字漢字").cursor();
        let drawing = canvas.finish();
        assert_eq!(drawing.rows, ["0123456789", "ab", "漢字漢字漢", "字"]);
        assert_eq!(drawing.cursor, Some((3, 2)));
    }

    #[test]
    fn a_cursor_behind_a_full_row_stands_in_the_next() {
        let mut canvas = Canvas::new(11);
        canvas.plain("0123456789").cursor();
        let drawing = canvas.finish();
        assert_eq!(drawing.rows, ["0123456789", ""]);
        assert_eq!(drawing.cursor, Some((1, 0)));
    }

    #[test]
    fn what_does_not_fit_the_screen_is_left_out_around_the_cursor() {
        let rows: Vec<String> = (0..9).map(|row| row.to_string()).collect();
        let drawing = |cursor| Drawing {
            rows: rows.clone(),
            cursor,
        };
        assert_eq!(drawing(Some((2, 0))).fit(4).rows, ["0", "1", "2", "3"]);
        assert_eq!(drawing(Some((8, 1))).fit(4).cursor, Some((3, 1)));
        assert_eq!(drawing(None).fit(4).rows, ["5", "6", "7", "8"]);
    }
}
