//! What the programs that save have in common beside saving: a platform's words, what is told at the end, and the
//! signals that end it.

use std::path::Path;

use mcr_verifier::PlatformFilter;

use crate::report::{printable, size};
use crate::save::SavedImage;
use crate::save::output::STDOUT;

/// Reads `--platform`.
///
/// # Errors
/// What was expected.
pub fn platform(text: &str) -> Result<PlatformFilter, String> {
    PlatformFilter::parse(text).ok_or_else(|| "expected OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64".to_owned())
}

/// What was saved, in words: a line an image, with a note where there is one, and one for the tar at `output`.
#[must_use]
pub fn text(images: &[SavedImage], bytes: u64, output: &Path) -> String {
    let mut lines = String::new();
    for image in images {
        lines.push_str(&printable(&format!("{} {}", image.name, image.digest)));
        lines.push('\n');
        if let Some(note) = &image.note {
            lines.push_str(&format!("  note: {}\n", printable(note)));
        }
    }
    let place = if output == Path::new(STDOUT) { "stdout".to_owned() } else { output.display().to_string() };
    lines.push_str(&format!("saved {} to {}\n", size(bytes), printable(&place)));
    lines
}

/// Comes to an end when somebody wants the program to end: SIGINT or SIGTERM. What was begun is then removed.
pub async fn interrupted() -> String {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            // It ends the process then, as it does where nobody waits for it.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
    }
    "interrupted; nothing was kept".to_owned()
}
