//! Which known name a mistyped one was meant to be; never what the name stands for.

/// The known name nearest to `name`, if one is near enough to be a slip of the hand.
#[must_use]
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = |candidate: &str| (name.len().max(candidate.len()) / 3).max(2);
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longer names are no slips of the hand; comparing them would cost more than it tells.
const LONGEST: usize = 64;

/// How many letters must be put in, left out or exchanged to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    if from.len() > LONGEST || to.len() > LONGEST {
        return usize::MAX;
    }
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = i + 1;
        next.push(left);
        for ((b, above_left), above) in to.iter().zip(&row).zip(row.iter().skip(1)) {
            let exchange = above_left + usize::from(a != *b);
            left = exchange.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_of_the_hand_are_recognised() {
        let known = ["listen_addr", "grpc_addr", "path"];
        assert_eq!(nearest("listen_adr", known), Some("listen_addr"));
        assert_eq!(nearest("lisetn_addr", known), Some("listen_addr"));
        assert_eq!(nearest("pth", known), Some("path"));
        assert_eq!(nearest("completely_else", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
