//! Randomness from the operating system, for identifiers and secrets; never a seedable generator.

use std::fmt::Write as _;
use std::io;

/// `N` random bytes.
///
/// # Errors
/// The operating system's error where it has no randomness to give.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// `bytes` random bytes as lower-case hex: a text of twice that length.
///
/// # Errors
/// The operating system's error where it has no randomness to give.
pub fn random_hex(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    fill(&mut random)?;
    let mut text = String::with_capacity(bytes.saturating_mul(2));
    for byte in random {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        error.raw_os_error().map_or_else(|| io::Error::other(error.to_string()), io::Error::from_raw_os_error)
    })
}

#[cfg(test)]
mod tests;
