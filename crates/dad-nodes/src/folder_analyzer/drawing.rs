//! A tree drawn as text, the way the `tree` program does.

use super::place::text_of;
use super::walk::Spot;
use dad_fs::EntryKind;

/// Collects what is to be drawn.
pub(super) struct Drawing {
    /// Levels that are drawn.
    limit: usize,
    files: bool,
    entries: Vec<(usize, String)>,
}

impl Drawing {
    pub(super) const fn new(limit: usize, files: bool) -> Self {
        Self {
            limit,
            files,
            entries: Vec::new(),
        }
    }

    /// Levels that have to be looked into.
    pub(super) const fn levels(&self) -> usize {
        self.limit.saturating_sub(1)
    }

    pub(super) fn add(&mut self, at: &Spot<'_>) {
        if at.depth <= self.limit && (self.files || at.kind == EntryKind::Dir) {
            self.entries.push((at.depth, in_one_line(&text_of(at.name).0)));
        }
    }

    pub(super) fn draw(&self, name: &str) -> String {
        let mut lines = vec![name.to_owned()];
        // Whether the branch of each level continues below is known only from later lines: so from the end.
        let mut goes_on: Vec<bool> = Vec::new();
        for (depth, name) in self.entries.iter().rev() {
            goes_on.resize((*depth).max(goes_on.len()), false);
            let mut line = String::new();
            for level in &goes_on[..depth - 1] {
                line.push_str(if *level { "│   " } else { "    " });
            }
            line.push_str(if goes_on[depth - 1] {
                "├── "
            } else {
                "└── "
            });
            line.push_str(name);
            lines.push(line);
            goes_on[depth - 1] = true;
            goes_on[*depth..].fill(false);
        }
        lines[1..].reverse();
        lines.join("\n")
    }
}

/// A name without characters that would end its line.
fn in_one_line(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_line() {
        assert_eq!(in_one_line("é\n├── mine\u{1b}[2J"), r"é\n├── mine\u{1b}[2J");
    }
}
