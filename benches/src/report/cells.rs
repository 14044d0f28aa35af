//! What becomes of a row over the rounds of a target: medians, ratios and differences to another target, numbers for people.

use super::metrics::Metric;
use super::model::{Outcome, TargetReport};

/// A value over the rounds of one target.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Median, and the number of rounds behind it.
    Value(f64, usize),
    /// The rounds were run, but this must not be believed.
    NotMeasured(String),
    /// The target has no such figure.
    Absent,
}

impl Cell {
    /// The median, when there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Value(value, _) => Some(*value),
            _ => None,
        }
    }
}

/// The median of a row over the rounds of a target that may be believed.
pub fn cell(target: &TargetReport, row: &Metric) -> Cell {
    let mut values = Vec::new();
    let mut why = None;
    for round in &target.rounds {
        match &round.outcome {
            Outcome::Measured { figures } => values.extend(row.read(figures)),
            Outcome::NotMeasured { figures, reason } => match row.read(figures) {
                Some(value) if !row.needs_quiet => values.push(value),
                Some(_) => why = Some(reason.clone()),
                None => {}
            },
            Outcome::Skipped { .. } | Outcome::Failed { .. } => {}
        }
    }
    match (median(&mut values), why) {
        (Some(value), _) => Cell::Value(value, values.len()),
        (None, Some(why)) => Cell::NotMeasured(why),
        (None, None) => Cell::Absent,
    }
}

/// How two targets compare in a row: (median of the ratios of rounds that ran next to each other, how many). The rounds of
/// a scenario are interleaved, so that a ratio is between neighbours in time.
pub fn ratio(target: &TargetReport, to: &TargetReport, row: &Metric) -> Option<(f64, usize)> {
    let mut ratios: Vec<f64> = neighbours(target, to, row)
        .filter(|(_, b)| *b > 0.0)
        .map(|(a, b)| a / b)
        .collect();
    median(&mut ratios).map(|ratio| (ratio, ratios.len()))
}

/// Rows of which the part above the floor's says more than the whole: that much any server takes.
pub const ABOVE_FLOOR: [&str; 2] = ["delay, p50", "delay, p99"];

/// How much more a target has of a row than another: the median of the differences of rounds that ran next to each other.
pub fn above(target: &TargetReport, other: &TargetReport, row: &Metric) -> Option<f64> {
    median(&mut neighbours(target, other, row).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// The values of rounds that ran next to each other and may both be believed.
fn neighbours<'a>(
    target: &'a TargetReport,
    other: &'a TargetReport,
    row: &'a Metric,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let believed = |outcome: &Outcome| match outcome {
        Outcome::Measured { figures } => row.read(figures),
        _ => None,
    };
    let both = target.rounds.iter().zip(&other.rounds);
    both.filter_map(move |(a, b)| Some((believed(&a.outcome)?, believed(&b.outcome)?)))
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => values.get(middle).copied(),
        _ => Some((values.get(middle - 1)? + values.get(middle)?) / 2.0),
    }
}

/// A number for people: three digits that matter, thousands apart.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && size < 0.001 {
        return format!("{value:.1e}");
    }
    let digits = match size {
        0.0 => 0,
        s if s < 0.1 => 3,
        s if s < 10.0 => 2,
        s if s < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && whole.len() > 4 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metrics::{COST, fixed};
    use crate::report::samples;

    #[test]
    fn numbers_are_short_and_say_what_matters() {
        let cases = [
            (0.0, "0"),
            (0.012_34, "0.012"),
            (2.0, "2"),
            (2.345, "2.35"),
            (12.34, "12.3"),
            (1_234.0, "1234"),
            (98_765.4, "98,765"),
            (-1_234_567.0, "-1,234,567"),
            (0.000_012, "1.2e-5"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_busy_round_counts_for_counts_and_not_for_costs() {
        let mut target = samples::target("ringhall", &[3.0, 5.0]);
        let row = |name: &str| fixed().into_iter().find(|row| row.name == name).unwrap();
        assert_eq!(cell(&target, &row(COST)), Cell::Value(4.0, 2));
        for round in &mut target.rounds {
            let figures = Box::new(round.outcome.figures().unwrap().clone());
            let reason = "other load 40 %".to_owned();
            round.outcome = Outcome::NotMeasured { reason, figures };
        }
        assert_eq!(
            cell(&target, &row(COST)),
            Cell::NotMeasured("other load 40 %".to_owned())
        );
        assert_eq!(cell(&target, &row("packets lost")), Cell::Value(0.0, 2));
        assert_eq!(cell(&target, &row("ring (start to incoming), p50")), Cell::Absent);
    }

    #[test]
    fn a_ratio_is_the_median_of_neighbouring_rounds() {
        let (ours, floor) = (
            samples::target("ringhall", &[3.0, 6.0, 40.0]),
            samples::target("floor", &[2.0, 3.0, 4.0]),
        );
        let cost = fixed().into_iter().find(|row| row.name == COST).unwrap();
        assert_eq!(ratio(&ours, &floor, &cost), Some((2.0, 3)));
        assert_eq!(above(&ours, &floor, &cost), Some(3.0), "of 1, 3 and 36");
    }
}
