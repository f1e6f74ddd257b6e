//! Tables that fit the width of a screen: columns of lesser weight give way.

use anstyle::Style;
use dad_terminal::{DIM, internal::cut};

/// The blanks between two columns.
const GAP: usize = 2;
/// The smallest width of the column that is cut to fit.
const NARROWEST: usize = 8;

/// A column of a table.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// The order in which columns give way, the largest first; those of weight 0 stay.
    pub(crate) weight: u8,
    /// Whether its cells end at the same place, as numbers do.
    pub(crate) is_right: bool,
    /// Whether its cells are cut if nothing else makes the table fit.
    pub(crate) is_cut: bool,
}

impl Column {
    /// A column whose cells begin at the same place and are never cut.
    pub(crate) const fn new(title: &'static str, weight: u8) -> Self {
        Self {
            title,
            weight,
            is_right: false,
            is_cut: false,
        }
    }

    /// The same with cells that end at the same place.
    pub(crate) const fn right(self) -> Self {
        Self {
            is_right: true,
            ..self
        }
    }

    /// The same with cells that are cut if nothing else makes the table fit.
    pub(crate) const fn cut(self) -> Self {
        Self { is_cut: true, ..self }
    }
}

/// A cell: its text, and the style of it.
pub(crate) type Cell = (String, Style);

/// A table as lines, the first of them its titles. A column without content is left out. Without a width all columns stay.
pub(crate) fn table(columns: &[Column], rows: &[Vec<Cell>], width: Option<usize>) -> String {
    let length = |text: &str| text.chars().count();
    let widest = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        cells.map(|(text, _)| length(text)).max().unwrap_or(0)
    };
    // The columns that are shown, with their widths.
    let mut shown: Vec<(usize, usize)> = (0..columns.len())
        .map(|index| (index, widest(index)))
        .filter(|(_, widest)| *widest > 0)
        .map(|(index, widest)| (index, widest.max(length(columns[index].title))))
        .collect();
    if let Some(width) = width {
        fit(columns, &mut shown, width);
    }
    let titles: Vec<Cell> = columns
        .iter()
        .map(|column| (column.title.to_owned(), DIM))
        .collect();
    let lines = std::iter::once(&titles).chain(rows);
    let lines = lines.map(|cells| line(columns, &shown, cells));
    lines.collect()
}

/// Leaves out or cuts columns until a line fits.
fn fit(columns: &[Column], shown: &mut Vec<(usize, usize)>, width: usize) {
    loop {
        let total: usize = shown.iter().map(|(_, width)| width + GAP).sum();
        let surplus = total.saturating_sub(GAP).saturating_sub(width);
        if surplus == 0 {
            return;
        }
        let weight = |(index, _): &(usize, usize)| columns[*index].weight;
        let least = (0..shown.len()).max_by_key(|at| weight(&shown[*at]));
        match least.filter(|at| weight(&shown[*at]) > 0) {
            Some(at) => drop(shown.remove(at)),
            None => {
                let cut = shown.iter_mut().find(|(index, _)| columns[*index].is_cut);
                if let Some((_, width)) = cut {
                    *width = width.saturating_sub(surplus).max(NARROWEST.min(*width));
                }
                return;
            }
        }
    }
}

fn line(columns: &[Column], shown: &[(usize, usize)], cells: &[Cell]) -> String {
    let mut line = String::new();
    for (at, (index, width)) in shown.iter().enumerate() {
        let (text, style) = &cells[*index];
        let text = cut(text, *width);
        let blanks = " ".repeat(width.saturating_sub(text.chars().count()));
        let gap = if at == 0 { "" } else { "  " };
        // Blanks at the end of a line are none.
        let (before, behind) = match (columns[*index].is_right, at + 1 == shown.len()) {
            (true, _) => (blanks.as_str(), ""),
            (false, true) => ("", ""),
            (false, false) => ("", blanks.as_str()),
        };
        line += &format!("{gap}{before}{style}{text}{style:#}{behind}");
    }
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: Option<usize>) -> String {
        let column = |title, weight, is_right, is_cut| Column {
            title,
            weight,
            is_right,
            is_cut,
        };
        let columns = [
            column("RUN", 0, false, false),
            column("AGENT", 0, false, true),
            column("NONE", 0, false, false),
            column("COST", 1, true, false),
            column("FROM", 2, false, false),
        ];
        let row = |cells: [&str; 5]| cells.map(|text| (text.to_owned(), Style::new())).to_vec();
        let rows = [
            row(["run_1", "a_long_name_of_an_agent", "", "$0.10", "run_0"]),
            row(["run_2", "short", "", "$12.00", ""]),
        ];
        anstream::adapter::strip_str(&table(&columns, &rows, width)).to_string()
    }

    #[test]
    fn columns_of_little_weight_give_way_and_then_the_names() {
        assert_eq!(
            shown(None),
            "RUN    AGENT                      COST  FROM\n\
             run_1  a_long_name_of_an_agent   $0.10  run_0\n\
             run_2  short                    $12.00\n"
        );
        assert_eq!(shown(Some(45)), shown(None));
        assert_eq!(
            shown(Some(44)),
            "RUN    AGENT                      COST\n\
             run_1  a_long_name_of_an_agent   $0.10\n\
             run_2  short                    $12.00\n"
        );
        assert_eq!(
            shown(Some(20)),
            "RUN    AGENT\nrun_1  a_long_name_…\nrun_2  short\n"
        );
        assert_eq!(shown(Some(1)), "RUN    AGENT\nrun_1  a_long_…\nrun_2  short\n");
    }
}
