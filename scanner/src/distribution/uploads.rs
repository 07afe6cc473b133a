//! Uploads under way in one repository, and those that nobody goes on with; never their bytes.

use super::Shared;
use crate::io::{Answer, Directory, EntryKind, Listing};
use crate::report::Information;

/// An upload that nothing was written to for so long is stale, in nanoseconds: a day.
const STALE_NS: i128 = 24 * 3600 * 1_000_000_000;

/// Counts the uploads of the repository at `at`.
pub(crate) fn count(shared: &Shared<'_>, at: &Directory, listing: &mut Listing, information: &mut Information) {
    let now = i128::from(shared.settings.now_ms) * 1_000_000;
    // What cannot be listed is no upload that could be told about; nobody pulls it.
    let _ = listing.each(shared.tree, at, b"_uploads", |uploads, entry| {
        if matches!(entry.kind, EntryKind::File | EntryKind::Other) {
            information.temporary_files += 1;
            return;
        }
        let stat = |name: &[u8]| shared.tree.stat(uploads, &[entry.name, name].concat());
        let (started, data) = (stat(b"/startedat"), stat(b"/data"));
        let written = [&started, &data].into_iter().filter_map(|stat| match stat {
            Answer::There(stat) => Some(stat.mtime_ns),
            _ => None,
        });
        information.uploads += 1;
        if written.max().is_none_or(|last| now - last > STALE_NS) {
            information.stale_uploads += 1;
            information.stale_upload_bytes += data.there().map_or(0, |stat| stat.size);
        }
    });
}
