//! Rounds of two sides that take turns, and what is made of them.

use crate::Result;

/// The same number of rounds of both sides of a comparison.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rounds {
    pub(crate) ours: Vec<f64>,
    pub(crate) theirs: Vec<f64>,
}

impl Rounds {
    /// Lets the two sides take turns, so that what else the machine does meets both.
    pub(crate) fn interleave(
        rounds: usize,
        mut ours: impl FnMut(usize) -> Result<f64>,
        mut theirs: impl FnMut(usize) -> Result<f64>,
    ) -> Result<Self> {
        let mut all = Self::default();
        for round in 0..rounds {
            all.ours.push(ours(round)?);
            all.theirs.push(theirs(round)?);
        }
        Ok(all)
    }

    /// The median of ours over the median of theirs.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.ours) / median(&self.theirs)
    }

    /// The least and the largest ratio of two rounds that stood beside each other.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let ratios: Vec<_> = self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs).collect();
        extremes(&ratios)
    }
}

/// The one in the middle, or the mean of the two there.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = middle.checked_sub(1).and_then(|index| sorted.get(index)).copied();
    f64::midpoint(lower.unwrap_or(f64::NAN), upper)
}

/// The value that so many per cent of all are not above.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

pub(crate) fn extremes(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}
