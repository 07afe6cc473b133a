//! Uploads of our own layout that are under way, and those that nobody goes on with; never their bytes.

use crate::io::{Answer, Listing, Tree};
use crate::layout::Found;
use crate::report::Information;
use crate::settings::Settings;

/// An upload that nothing was written to for so long is stale, in nanoseconds: a day.
const STALE_NS: i128 = 24 * 3600 * 1_000_000_000;

/// Counts the uploads beside the database, where they lie there.
pub(crate) fn count(found: &Found, settings: &Settings, information: &mut Information) {
    let Answer::There(tree) = Tree::open(&found.path) else { return };
    let now = i128::from(settings.now_ms) * 1_000_000;
    // What cannot be listed is no upload that could be told about; nobody pulls it.
    let _ = Listing::new().each(&tree, tree.root(), b"uploads", |uploads, entry| {
        if entry.name.ends_with(b".tmp") {
            information.temporary_files += 1;
            return;
        }
        let is_session = entry.name.len() == 32 && entry.name.iter().all(u8::is_ascii_hexdigit);
        if let (true, Answer::There(stat)) = (is_session, tree.stat(uploads, entry.name)) {
            information.uploads += 1;
            if now - stat.mtime_ns > STALE_NS {
                information.stale_uploads += 1;
                information.stale_upload_bytes += stat.size;
            }
        }
    });
}
