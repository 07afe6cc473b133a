//! `--fail-on KIND…`: which findings make a command fail, and which exit code findings lead to; never a finding.

use mcr_oci::{Finding, FindingKind};

use crate::failure::{Failure, Outcome};

/// The kinds that count, all of them where none was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FailOn(Vec<FindingKind>);

impl FailOn {
    /// Reads the words after `--fail-on`. The option takes several, so it may have swallowed what stands behind it:
    /// a word that cannot be a kind, because it has a slash, a colon or a dot, is given back.
    ///
    /// # Errors
    /// [`Failure::Usage`] that lists the kinds.
    pub(crate) fn read(words: &[String]) -> Result<(Self, Vec<String>), Failure> {
        let (mut kinds, mut others) = (Vec::new(), Vec::new());
        for word in words.iter().flat_map(|word| word.split(',')) {
            match FindingKind::parse(word) {
                Some(kind) => kinds.push(kind),
                None if word.contains(['/', ':', '.']) => others.push(word.to_owned()),
                None => {
                    let known: Vec<&str> = FindingKind::ALL.into_iter().map(FindingKind::as_str).collect();
                    let known = known.join(", ");
                    return Err(Failure::Usage(format!("--fail-on {word:?} is no kind of finding; expected {known}")));
                }
            }
        }
        Ok((Self(kinds), others))
    }

    /// What `findings` come to: a bad answer, none, or (where nothing but `unreachable` is left) an unknown one.
    pub(crate) fn outcome<'a>(&self, findings: impl IntoIterator<Item = &'a Finding>) -> Outcome {
        let mut outcome = Outcome::Holds;
        for finding in findings {
            if finding.kind == FindingKind::Unreachable {
                outcome = Outcome::Undetermined;
            } else if self.0.is_empty() || self.0.contains(&finding.kind) {
                return Outcome::Bad;
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn kinds_are_read_and_what_was_swallowed_is_given_back() {
        let (kinds, others) =
            FailOn::read(&words("blob-missing,manifest-missing tag-dangling reg.example/ci:1")).unwrap();
        assert_eq!(kinds.0.len(), 3);
        assert_eq!(others, ["reg.example/ci:1"]);
        assert!(FailOn::read(&words("blob-mising")).unwrap_err().to_string().contains("blob-missing"));
    }

    #[test]
    fn unreachable_alone_is_undetermined() {
        let finding = Finding::new;
        let all = FailOn::default();
        assert_eq!(all.outcome(&[]), Outcome::Holds);
        assert_eq!(all.outcome(&[finding(FindingKind::Unreachable)]), Outcome::Undetermined);
        let both = [finding(FindingKind::Unreachable), finding(FindingKind::BlobMissing)];
        assert_eq!(all.outcome(&both), Outcome::Bad);
        let (some, _) = FailOn::read(&words("blob-corrupt")).unwrap();
        assert_eq!(some.outcome(&both), Outcome::Undetermined);
        assert_eq!(some.outcome(&both[1..]), Outcome::Holds);
    }
}
