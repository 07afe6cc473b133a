//! Tags that follow a digest: `sha256-<hex>`, alone or with an ending such as `.sig`; never what follows by its subject.
//!
//! Clients hang signatures, attestations and lists of referrers on a digest by such a name, where a registry knows no
//! referrers (OCI distribution specification, "referrers tag schema"; cosign). The digest's hex is cut at 64.

use mcr_oci::{Algorithm, Digest};

/// Characters of a digest's hex that such a tag has.
const HEX: usize = 64;

/// What a tag that follows `digest` begins with: the whole name of the list of its referrers.
pub(crate) fn prefix(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}", digest.algorithm().as_str(), hex.get(..HEX).unwrap_or(hex))
}

/// What comes bytewise behind every tag that begins with `prefix`: no tag has a byte as high.
pub(crate) fn behind(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

/// The prefix of the digest that `tag` follows, as far as the tag tells it: `sha256:<64 hex>`.
#[must_use]
pub(crate) fn followed(tag: &str) -> Option<String> {
    let (algorithm, rest) = tag.split_once('-')?;
    Algorithm::parse(algorithm)?;
    let (hex, ending) = rest.split_at_checked(HEX)?;
    let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let ends = !ending.starts_with(|c: char| c.is_ascii_alphanumeric());
    (is_hex && ends).then(|| format!("{algorithm}:{hex}"))
}

/// Whether a tag is of the kind that retention neither counts nor takes by itself: it has the name of one that follows a
/// digest, well formed or not.
#[must_use]
pub fn is_follower(tag: &str) -> bool {
    tag.split_once('-').is_some_and(|(algorithm, _)| Algorithm::parse(algorithm).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_follows_the_digest_it_is_named_after() {
        let digest = Digest::sha256(b"a");
        let prefix = prefix(&digest);
        for tag in [prefix.clone(), format!("{prefix}.sig"), format!("{prefix}-sbom")] {
            assert_eq!(followed(&tag).as_deref(), Some(digest.as_str()), "{tag}");
            assert!(tag >= prefix && tag < behind(&prefix) && is_follower(&tag));
        }
        for tag in [format!("{prefix}0"), prefix[..70].to_owned(), "v1".to_owned(), format!("v{prefix}")] {
            assert_eq!(followed(&tag), None, "{tag}");
        }
        assert!(is_follower("sha256-x") && !is_follower("sha25-x") && !is_follower("latest"));
        let long = Digest::parse(&format!("sha512:{}", "ab".repeat(64))).unwrap();
        let prefix = super::prefix(&long);
        assert_eq!(prefix.len(), "sha512-".len() + 64);
        assert_eq!(followed(&prefix), Some(format!("sha512:{}", "ab".repeat(32))));
    }
}
