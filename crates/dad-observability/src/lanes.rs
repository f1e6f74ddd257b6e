//! Lanes for spans: in one lane a span lies wholly within another, or behind it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The times of a span, and the span around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// In nanoseconds since 1970.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The number of the process that drove the run, if the span says it.
    pub(crate) session: Option<u64>,
    pub(crate) parent: Option<usize>,
}

/// The place of a span on a screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) session: u64,
    pub(crate) lane: u64,
}

/// The places of all spans.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    begin: u64,
    places: Vec<Place>,
    /// The number of lanes of each session.
    sessions: BTreeMap<u64, u64>,
}

/// The spans that are open in a lane at a moment, the innermost last.
type Open = Vec<usize>;

impl Lanes {
    pub(crate) fn of(mut times: Vec<Times>) -> Self {
        for index in 0..times.len() {
            let session = session_of(&times, index);
            times[index].session = Some(session);
            times[index].to = times[index].to.max(times[index].from);
        }
        let mut order: Vec<usize> = (0..times.len()).collect();
        let depth = |index: usize| around(&times, index).count();
        order.sort_by_cached_key(|index| {
            let span = times[*index];
            (span.from, Reverse(span.to), depth(*index), *index)
        });
        let mut places = vec![Place::default(); times.len()];
        let mut open: BTreeMap<u64, Vec<Open>> = BTreeMap::new();
        for index in order {
            let session = times[index].session.unwrap_or_default();
            let lanes = open.entry(session).or_default();
            let lane = lane_for(&times, &places, lanes, index);
            if lane == lanes.len() {
                lanes.push(Open::new());
            }
            lanes[lane].push(index);
            let lane = lane as u64;
            places[index] = Place { session, lane };
        }
        Self {
            begin: times.iter().map(|span| span.from).min().unwrap_or_default(),
            places,
            sessions: open
                .into_iter()
                .map(|(session, lanes)| (session, lanes.len() as u64))
                .collect(),
        }
    }

    /// When the first span began, in nanoseconds since 1970.
    pub(crate) const fn begin(&self) -> u64 {
        self.begin
    }

    /// The place of a span by its number in the file; one that came to the file since has none of its own.
    pub(crate) fn place(&self, index: usize) -> Place {
        self.places.get(index).copied().unwrap_or_default()
    }

    /// The sessions with the numbers of their lanes.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (u64, u64)> {
        self.sessions.iter().map(|(session, lanes)| (*session, *lanes))
    }
}

/// The lane of the span around it if that has room, else the first one in which nothing is open; the next one if there is none.
fn lane_for(times: &[Times], places: &[Place], lanes: &mut [Open], index: usize) -> usize {
    let span = times[index];
    let close = |open: &mut Open| {
        while open
            .last()
            .is_some_and(|last| times[*last].to <= span.from && !is_around(times, *last, index))
        {
            open.pop();
        }
    };
    if let Some(parent) = span
        .parent
        .filter(|parent| times[*parent].session == span.session)
    {
        let lane = usize::try_from(places[parent].lane).unwrap_or(usize::MAX);
        if let Some(open) = lanes.get_mut(lane) {
            close(open);
            if open.last() == Some(&parent) && times[parent].to >= span.to {
                return lane;
            }
        }
    }
    lanes.iter_mut().for_each(close);
    lanes.iter().position(Vec::is_empty).unwrap_or(lanes.len())
}

/// Whether one span is around another, also of no length.
fn is_around(times: &[Times], outer: usize, inner: usize) -> bool {
    let (outer, inner, parent) = (times[outer], times[inner], times[inner].parent == Some(outer));
    parent && outer.from <= inner.from && inner.to <= outer.to
}

/// The spans around a span, as many as files that are whole can have.
fn around(times: &[Times], index: usize) -> impl Iterator<Item = usize> {
    /// Spans of damaged files may name each other in a circle.
    const DEEPEST: usize = 1000;
    std::iter::successors(times[index].parent, |parent| times[*parent].parent).take(DEEPEST)
}

/// The session of a span: its own, or that of the nearest span around it.
fn session_of(times: &[Times], index: usize) -> u64 {
    let own = times[index].session;
    let of_others = || around(times, index).find_map(|span| times[span].session);
    own.or_else(of_others).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(spans: &[(u64, u64, Option<usize>)]) -> Vec<u64> {
        let times = spans.iter().map(|(from, to, parent)| Times {
            from: *from,
            to: *to,
            session: None,
            parent: *parent,
        });
        Lanes::of(times.collect())
            .places
            .iter()
            .map(|place| place.lane)
            .collect()
    }

    #[test]
    fn what_follows_stays_in_the_lane_of_its_parent() {
        assert_eq!(
            lanes(&[(0, 4, Some(2)), (4, 9, Some(2)), (0, 10, None)]),
            [0, 0, 0]
        );
    }

    #[test]
    fn what_runs_at_the_same_time_gets_a_lane_of_its_own_with_its_children() {
        let spans = [
            (0, 9, None),
            (0, 5, Some(0)),
            (1, 6, Some(0)),
            (2, 3, Some(2)),
            (7, 9, Some(0)),
        ];
        assert_eq!(lanes(&spans), [0, 0, 1, 1, 0]);
    }

    #[test]
    fn spans_in_a_circle_end_too() {
        assert_eq!(lanes(&[(0, 4, Some(1)), (0, 4, Some(0))]).len(), 2);
    }
}
