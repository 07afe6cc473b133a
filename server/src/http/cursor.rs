//! Where the next page begins, without telling the name it begins behind: that may be one the caller may not see.
//!
//! A page examines a bounded number of names, so it can end at one that it does not show. Such a place is encrypted with
//! a key of this process; one that the caller may see stands as it is, as clients of `_catalog` expect. What never is
//! here: a list.

use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcr_seams::random_bytes;

/// What an encrypted place begins with: no name does.
const MARK: char = '~';
/// Places are filled up to a multiple of so many bytes, so that their length does not tell a name's.
const BLOCK: usize = 128;
/// Longest place that is read, in letters.
const MAX: usize = 1024;

/// Goes with the process: a listing that a restart interrupts is begun again.
static KEY: LazyLock<Option<RandomizedNonceKey>> = LazyLock::new(|| {
    let secret = random_bytes::<32>().inspect_err(|error| tracing::error!(%error, "no random bytes to be had")).ok()?;
    RandomizedNonceKey::new(&AES_256_GCM, &secret).ok()
});

/// A cursor that is none of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("last is not the next of a page, or the registry was started anew since: begin the list again")]
pub struct UnknownCursor;

/// The cursor for a place; `seen` says whether the caller may see the name in it. None where there is no randomness to
/// hide it with: then the list ends here.
#[must_use]
pub fn shown(place: String, seen: bool) -> Option<String> {
    if seen {
        return Some(place);
    }
    let mut bytes = place.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    let nonce = KEY.as_ref()?.seal_in_place_append_tag(Aad::empty(), &mut bytes).ok()?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut bytes);
    Some(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(sealed)))
}

/// The place behind a cursor, whether it was hidden or not.
///
/// # Errors
/// [`UnknownCursor`].
pub fn place(cursor: Option<String>) -> Result<Option<String>, UnknownCursor> {
    match cursor {
        Some(text) if text.starts_with(MARK) => open(&text).map(Some).ok_or(UnknownCursor),
        other => Ok(other),
    }
}

fn open(text: &str) -> Option<String> {
    let text = text.strip_prefix(MARK).filter(|text| text.len() <= MAX)?;
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (nonce, hidden) = sealed.split_at_checked(NONCE_LEN)?;
    let mut bytes = hidden.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let place = KEY.as_ref()?.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
    let place = std::str::from_utf8(place).ok()?;
    Some(place.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_place_comes_back_and_tells_nothing() {
        let cursors: Vec<String> =
            ["a", "secret/repository", &"x".repeat(128)].map(|name| shown(name.to_owned(), false).unwrap()).into();
        for (cursor, name) in cursors.iter().zip(["a", "secret/repository", &"x".repeat(128)]) {
            assert_eq!(place(Some(cursor.clone())), Ok(Some(name.to_owned())));
            assert!(!cursor.contains(name) || name == "a");
            assert_eq!(cursor.len(), cursors[0].len());
            assert_ne!(shown(name.to_owned(), false).as_ref(), Some(cursor));
        }
    }

    #[test]
    fn a_place_one_may_see_is_as_it_is() {
        assert_eq!(shown("a/b".to_owned(), true), Some("a/b".to_owned()));
        assert_eq!(place(Some("a/b".to_owned())), Ok(Some("a/b".to_owned())));
        assert_eq!(place(None), Ok(None));
    }

    #[test]
    fn a_made_up_one_is_refused() {
        let good = shown("a".to_owned(), false).unwrap();
        let turned = good.replacen(|letter: char| letter.is_ascii_lowercase(), "A", 1);
        for bad in ["~", "~x", "~!", &turned, &format!("~{}", "A".repeat(4000))] {
            assert_eq!(place(Some(bad.to_owned())), Err(UnknownCursor), "{bad}");
        }
    }
}
