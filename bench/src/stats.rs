//! Medians and what surrounds them. Pure arithmetic.

/// The middle value, or the mean of the two middle ones; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// Smallest, middle and largest value; `None` of nothing.
pub(crate) fn spread(values: &[f64]) -> Option<(f64, f64, f64)> {
    let smallest = values.iter().copied().min_by(f64::total_cmp)?;
    let largest = values.iter().copied().max_by(f64::total_cmp)?;
    Some((smallest, median(values)?, largest))
}

/// The median of the ratios of samples taken in the same round, which is calmer than the ratio of two
/// medians: what disturbed the machine in one round disturbed both.
pub(crate) fn paired_ratio(above: &[f64], below: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> =
        above.iter().zip(below).filter(|(_, below)| **below > 0.0).map(|(above, below)| above / below).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(spread(&[2.0, 1.0, 9.0]), Some((1.0, 2.0, 9.0)));
    }

    #[test]
    fn ratio_is_taken_round_by_round() {
        assert_eq!(paired_ratio(&[2.0, 20.0, 6.0], &[1.0, 10.0, 2.0]), Some(2.0));
        assert_eq!(paired_ratio(&[1.0], &[0.0]), None);
    }
}
