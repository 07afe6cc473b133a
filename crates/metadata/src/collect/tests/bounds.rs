//! What hangs on one step may be more than one write takes.

use super::{HOUR, at_once, collect, referrer};
use crate::testing::Bed;

#[test]
fn many_links_and_referrers_go_in_more_than_one_write() {
    let bed = Bed::new();
    bed.push_blob("a", "c", 0);
    for n in 0..150 {
        assert!(bed.mount(Some("a"), &format!("b{n}"), "c", 0));
    }
    let subject = bed.push_image("x", &["l"], &["v1"], 0);
    for n in 0..150 {
        let blob = format!("s{n}");
        bed.push_blob("x", &blob, 0);
        bed.pushed("x", &referrer(&subject, &blob), &[], 0);
    }
    bed.delete("x", &subject, 0);
    let run = collect(&bed, "one", at_once(2 * HOUR));
    assert_eq!(run.len(), 151 + 2);
    assert_eq!(bed.count("SELECT count(*) FROM manifests"), 0);
    assert_eq!(bed.count("SELECT count(*) FROM repository_blobs"), 150, "those of the referrers are leased");
}
