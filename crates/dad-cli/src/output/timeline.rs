//! A timeline on a screen: a row for each part of a run, with a bar on one axis.

use std::time::Duration;

use anstyle::Style;
use dad_core::{StepStatus, Timestamp, format_duration};
use dad_project::{StepPart, StepPartKind};
use dad_run::{Activity, LoopSummary, RowKind, Stretch, Timeline, TimelineRow};
use dad_terminal::{
    BOLD, DIM,
    internal::{count, cut, mark, run_style, usage},
    printable,
};

use crate::output::fold::fold;
use crate::output::summary::paid;

/// The narrowest screen that has bars.
const BARS_FROM: usize = 80;
/// The columns of a line that goes to no terminal.
const PAPER: usize = 100;
/// The narrowest bar that says something.
const SHORTEST_BAR: usize = 12;
/// The part of the screen that names may take, and the columns that they may always take.
const NAMES: (usize, usize) = (3, 24);
/// The part of the time that a run took which its waits may take on the axis.
const WAITS: f64 = 0.5;

/// The sign of work on the critical path, of other work, and of the waits.
const DECIDES: char = '█';
const WORKS: char = '▒';
const ASKS: char = '?';
const RETRIES: char = '~';
const RESTS: char = '·';

/// The whole screen.
pub(crate) fn timeline_text(timeline: &Timeline, width: Option<usize>) -> String {
    let width = width.unwrap_or(PAPER);
    let style = run_style(timeline.status);
    let mut text = format!(
        "{BOLD}{}{BOLD:#}  {style}{}{style:#}\n",
        timeline.run_id, timeline.status
    );
    let axis = Axis::of(timeline);
    let table = Table::of(timeline, &axis, width);
    text += &table.lines(width);
    text + &summary(timeline, &axis, &table, width)
}

/// The mapping of times to columns. Long waits of the whole run are shortened, so that what worked is seen beside them.
struct Axis {
    /// Times, each with its place from the left.
    points: Vec<(Timestamp, f64)>,
    length: f64,
    is_shortened: bool,
}

impl Axis {
    fn of(timeline: &Timeline) -> Self {
        let (taken, waited) = (
            timeline.time.taken().as_secs_f64(),
            timeline.time.waited().as_secs_f64(),
        );
        let room = taken * WAITS;
        let factor = if taken > 0.0 && waited > room {
            room / waited
        } else {
            1.0
        };
        let mut points = vec![(timeline.from, 0.0)];
        let mut length = 0.0;
        for stretch in &timeline.stretches {
            let seconds = stretch.to.duration_since(stretch.from).as_secs_f64();
            let is_wait = matches!(stretch.activity, Activity::Asking | Activity::Idle);
            length += if is_wait { seconds * factor } else { seconds };
            points.push((stretch.to, length));
        }
        Self {
            points,
            length,
            is_shortened: factor < 1.0,
        }
    }

    /// The place of a time, from 0 at the left end to 1 at the right.
    fn place(&self, at: Timestamp) -> f64 {
        if self.length <= 0.0 {
            return 0.0;
        }
        let behind = self.points.partition_point(|(point, _)| *point <= at);
        let (Some((from, left)), Some((to, right))) = (
            behind.checked_sub(1).and_then(|before| self.points.get(before)),
            self.points.get(behind),
        ) else {
            return if behind == 0 { 0.0 } else { 1.0 };
        };
        let whole = to.duration_since(*from).as_secs_f64();
        let part = at.duration_since(*from).as_secs_f64() / whole;
        (left + (right - left) * part) / self.length
    }

    fn bar(&self, row: &TimelineRow, columns: usize) -> String {
        let mut cells = vec![[0.0_f64; 4]; columns];
        let scale = columns as f64;
        for stretch in &row.stretches {
            let (from, to) = (self.place(stretch.from) * scale, self.place(stretch.to) * scale);
            let (first, last) = (from as usize, (to.ceil() as usize).min(columns));
            for (column, cell) in cells.iter_mut().enumerate().take(last).skip(first) {
                let inside = to.min(column as f64 + 1.0) - from.max(column as f64);
                cell[kind_of(stretch)] += inside.max(0.0);
            }
        }
        let signs = [
            if row.is_critical { DECIDES } else { WORKS },
            ASKS,
            RETRIES,
            RESTS,
        ];
        let mut bar: Vec<char> = cells.iter().map(|cell| sign(cell, signs)).collect();
        // However short it was, it is seen.
        if columns > 0 && bar.iter().all(|sign| *sign == ' ') {
            let column = (self.place(row.started_at) * scale) as usize;
            let sign = if row.is_reused || row.status == StepStatus::Skipped {
                '|'
            } else {
                signs[0]
            };
            bar[column.min(columns - 1)] = sign;
        }
        bar.into_iter().collect::<String>().trim_end().to_owned()
    }
}

const fn kind_of(stretch: &Stretch) -> usize {
    match stretch.activity {
        Activity::Asking => 1,
        Activity::Retrying => 2,
        Activity::Idle => 3,
        _ => 0,
    }
}

/// The sign of what happened most in a column; of what happened less than a hundredth of it, none.
fn sign(cell: &[f64; 4], signs: [char; 4]) -> char {
    let most = (0..cell.len()).max_by(|a, b| cell[*a].total_cmp(&cell[*b]).then(b.cmp(a)));
    most.filter(|kind| cell[*kind] > 0.01)
        .map_or(' ', |kind| signs[kind])
}

/// The figures beside the names, each column as wide as its widest cell.
struct Table<'t> {
    timeline: &'t Timeline,
    names: usize,
    /// The titles and cells of the columns that are shown.
    columns: Vec<(&'static str, Vec<String>)>,
    bars: Vec<String>,
}

impl<'t> Table<'t> {
    fn of(timeline: &'t Timeline, axis: &Axis, width: usize) -> Self {
        let rows = &timeline.rows;
        let cells = |cell: fn(&TimelineRow) -> String| rows.iter().map(cell).collect::<Vec<_>>();
        let mut columns = vec![
            ("TOOK", cells(took)),
            ("WAITED", cells(|row| duration(row.time.waited()))),
            ("TOKENS", cells(tokens)),
            ("COST", cells(cost)),
        ];
        columns.retain(|(_, cells)| cells.iter().any(|cell| !cell.is_empty()));
        let longest = rows
            .iter()
            .map(|row| name(row).chars().count())
            .max()
            .unwrap_or(0);
        let names = longest.min(NAMES.1.max(width / NAMES.0));
        let mut table = Self {
            timeline,
            names,
            columns,
            bars: Vec::new(),
        };
        table.fit(axis, width);
        table
    }

    /// Gives the bars what remains, and leaves out figures where that is too little.
    fn fit(&mut self, axis: &Axis, width: usize) {
        let wants_bars = width >= BARS_FROM && !self.timeline.time.total().is_zero();
        let least = if wants_bars { SHORTEST_BAR + 2 } else { 0 };
        for title in ["TOKENS", "WAITED", "COST"] {
            if self.left(width) < least as isize {
                self.columns.retain(|(known, _)| *known != title);
            }
        }
        let left = self.left(width);
        if wants_bars && left > 2 {
            let columns = left.unsigned_abs() - 2;
            self.bars = self
                .timeline
                .rows
                .iter()
                .map(|row| axis.bar(row, columns))
                .collect();
        } else if left < 0 {
            self.names = self.names.saturating_sub(left.unsigned_abs()).max(8);
        }
    }

    /// The columns of the screen behind the figures.
    fn left(&self, width: usize) -> isize {
        let figures = self
            .columns
            .iter()
            .map(|(title, cells)| column_width(title, cells) + 2);
        let used = 2 + self.names + figures.sum::<usize>();
        isize::try_from(width).unwrap_or(isize::MAX) - isize::try_from(used).unwrap_or(isize::MAX)
    }

    fn lines(&self, width: usize) -> String {
        let mut line = format!("  {:<names$}", "", names = self.names);
        for (title, cells) in &self.columns {
            line += &format!("  {title:>0$}", column_width(title, cells));
        }
        let mut text = format!("{DIM}{}{DIM:#}\n", line.trim_end());
        for (index, row) in self.timeline.rows.iter().enumerate() {
            text += &self.line(index, row);
            if let Some(iterations) = &row.iterations {
                let about = loop_text(iterations);
                let indent = "  ".repeat(row.depth as usize + 2);
                let about = cut(&about, width.saturating_sub(indent.len()).max(8));
                text += &format!("{indent}{DIM}{about}{DIM:#}\n");
            }
        }
        text
    }

    fn line(&self, index: usize, row: &TimelineRow) -> String {
        let name = cut(&name(row), self.names);
        let blanks = " ".repeat(self.names - name.chars().count());
        let (before, rest) = name.split_at(name.len() - name.trim_start().len());
        let style = mark(row.status, row.is_reused).1;
        let shown = match (sign_of(row), rest.split_once(' ')) {
            (Some(_), Some((sign, rest))) => format!("{style}{sign}{style:#} {rest}"),
            _ => format!("{BOLD}{rest}{BOLD:#}"),
        };
        let mut line = format!("  {before}{shown}{blanks}");
        for (title, cells) in &self.columns {
            line += &format!("  {:>1$}", cells[index], column_width(title, cells));
        }
        let style = if row.status.is_failure() {
            style
        } else {
            Style::new()
        };
        if let Some(bar) = self.bars.get(index) {
            line += &format!("  {style}{bar}{style:#}");
        }
        format!("{}\n", line.trim_end())
    }

    fn has(&self, sign: char) -> bool {
        self.bars.iter().any(|bar| bar.contains(sign))
    }
}

fn column_width(title: &str, cells: &[String]) -> usize {
    let cells = cells.iter().map(|cell| cell.chars().count());
    cells.max().unwrap_or(0).max(title.len())
}

/// The mark of a row; a component that did well has none.
fn sign_of(row: &TimelineRow) -> Option<&'static str> {
    let is_well = row.status == StepStatus::Completed;
    (row.kind == RowKind::Step || !is_well).then(|| mark(row.status, row.is_reused).0)
}

fn name(row: &TimelineRow) -> String {
    let sign = sign_of(row).map_or(String::new(), |sign| format!("{sign} "));
    format!("{}{sign}{}", "  ".repeat(row.depth as usize), row.name)
}

fn took(row: &TimelineRow) -> String {
    match row.status {
        _ if row.is_reused => "reused".to_owned(),
        StepStatus::Skipped => "skipped".to_owned(),
        StepStatus::Waiting if row.time.taken().is_zero() => "waits".to_owned(),
        _ => format_duration(row.time.taken()),
    }
}

fn duration(duration: Duration) -> String {
    if duration < Duration::from_millis(1) {
        return String::new();
    }
    format_duration(duration)
}

fn tokens(row: &TimelineRow) -> String {
    match row.usage.total_tokens {
        0 => String::new(),
        tokens => tokens.to_string(),
    }
}

fn cost(row: &TimelineRow) -> String {
    row.usage
        .cost
        .and_then(dad_terminal::internal::cost)
        .unwrap_or_default()
}

fn loop_text(iterations: &LoopSummary) -> String {
    let mut parts = vec![match iterations.expected {
        Some(expected) if expected > iterations.iterations => {
            format!("{} of {}", iterations.iterations, count(expected, "iteration"))
        }
        _ => count(iterations.iterations, "iteration"),
    }];
    if let Some(slowest) = iterations.slowest.filter(|_| iterations.iterations > 1) {
        let took = format_duration(slowest.took);
        parts.push(format!("slowest iter_{} with {took}", slowest.iteration));
    }
    if let Some(first) = iterations.first_failed {
        parts.push(match iterations.failed {
            1 => format!("failed iter_{first}"),
            failed => format!("{failed} failed, first iter_{first}"),
        });
    }
    parts.join(", ")
}

/// The meaning of the signs, and the sums.
fn summary(timeline: &Timeline, axis: &Axis, table: &Table<'_>, width: usize) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let value = fold(value, 12, 12, Some(width));
        text += &format!("  {DIM}{name:<9}{DIM:#} {value}\n");
    };
    let signs = [
        (DECIDES, "on the critical path"),
        (WORKS, "worked in parallel"),
        (ASKS, "waited for an answer"),
        (RETRIES, "waited for its next attempt"),
        (RESTS, "had no driver"),
        ('|', "took no time"),
    ];
    let signs = signs.iter().filter(|(sign, _)| table.has(*sign));
    let mut signs: Vec<String> = signs.map(|(sign, meaning)| format!("{sign} {meaning}")).collect();
    if axis.is_shortened && !table.bars.is_empty() {
        signs.push("waits are shortened".to_owned());
    }
    // Where all is on the critical path, the bars say so by themselves.
    if signs.len() > 1 {
        row("signs", &signs.join(", "));
    }
    let time = &timeline.time;
    let parts = [
        (time.working, "worked"),
        (time.asking, "waited for answers"),
        (time.retrying, "waited for the next attempt"),
        (time.idle, "had no driver"),
    ];
    let parts = parts.iter().filter(|(time, _)| *time >= Duration::from_millis(1));
    let parts: Vec<String> = parts
        .map(|(time, what)| format!("{what} {}", format_duration(*time)))
        .collect();
    let of_which = if parts.len() > 1 {
        format!(": {}", parts.join(", "))
    } else {
        String::new()
    };
    row("time", &format!("{}{of_which}", format_duration(time.total())));
    if timeline.slowest.len() > 1 {
        let slowest = timeline.slowest.iter();
        let slowest =
            slowest.map(|slow| format!("{} {}", short(slow.path.as_str()), format_duration(slow.took)));
        row("slowest", &slowest.collect::<Vec<_>>().join(", "));
    }
    if timeline.usage.calls > 0 || timeline.usage.replayed > 0 {
        row("model", &paid(&timeline.usage));
    }
    text
}

/// A path without its root, by which commands find it too.
pub(crate) fn short(path: &str) -> &str {
    path.split_once('.').map_or(path, |(_, rest)| rest)
}

/// The attempts of a step and their parts, with the times at which they began, from the beginning of the step.
pub(crate) fn parts_text(timeline: &Timeline, parts: &[StepPart]) -> String {
    let since = |at: Timestamp| Duration::try_from(at.duration_since(timeline.from)).unwrap_or_default();
    let mut text = String::new();
    for part in parts {
        let begins = match (part.started_at, part.ended_at) {
            (Some(at), _) => format!("+{}", format_duration(since(at))),
            // An exchange says when it ended.
            (None, Some(at)) => format!("by +{}", format_duration(since(at))),
            (None, None) => String::new(),
        };
        let took = part.started_at.zip(part.ended_at);
        let took = took.and_then(|(from, to)| Duration::try_from(to.duration_since(from)).ok());
        let mut about: Vec<String> = took.map(format_duration).into_iter().collect();
        about.extend(part.usage.as_ref().map(usage).filter(|used| !used.is_empty()));
        about.extend(
            part.error
                .as_deref()
                .map(|error| dad_terminal::internal::one_line(error, 200)),
        );
        let about = about.join("  ");
        text += &match (part.kind, part.status) {
            (StepPartKind::Attempt, Some(status)) => {
                let (sign, style) = mark(status, false);
                let name = format!("attempt {} {status}", part.name);
                format!("{begins:>12}  {style}{sign}{style:#} {BOLD}{name}{BOLD:#}  {DIM}{about}{DIM:#}\n")
            }
            (kind, _) => {
                let name = printable(&part.name).replace('\n', " ");
                format!("{begins:>12}    {:<9} {name}  {DIM}{about}{DIM:#}\n", word(kind))
            }
        };
    }
    text
}

const fn word(kind: StepPartKind) -> &'static str {
    match kind {
        StepPartKind::ModelCall => "model",
        StepPartKind::ToolCall => "tool",
        StepPartKind::FileOperation => "files",
        StepPartKind::Command => "command",
        StepPartKind::Wait => "wait",
        _ => "exchange",
    }
}
