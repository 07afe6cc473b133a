//! Tests of the files of the journal.

use super::*;
use crate::Options;

fn store(directory: &tempfile::TempDir, disk: Disk) -> Store {
    let options = Options { layers: directory.path().join("layers"), uploads: directory.path().join("uploads") };
    Store::open(options, disk).unwrap()
}

const FIRST: JournalSegment = JournalSegment { generation: 3, segment: 1 };

fn lines(store: &Store, segment: JournalSegment) -> Vec<(Vec<u8>, u64, bool)> {
    let mut reader = store.journal_read(segment).unwrap().unwrap();
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        lines.push((line.bytes.to_vec(), line.end, line.whole));
    }
    lines
}

#[test]
fn names_are_read_as_they_are_written_and_others_are_not_ours() {
    assert_eq!(JournalSegment::parse(&FIRST.name()), Some(FIRST));
    for other in ["3-1.jsonl", "0000000003-0000000001.json", "0000000003-+000000001.jsonl", "0000000003.jsonl", ""] {
        assert_eq!(JournalSegment::parse(other), None, "{other}");
    }
}

#[test]
fn lines_come_back_and_a_torn_one_is_told_and_can_be_cut() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory, Disk::real());
    assert_eq!(store.journal_segments().unwrap(), []);
    let mut writer = store.journal_create(FIRST).unwrap();
    let long = vec![b'x'; READ_SIZE * 2 + 17];
    writer.append(b"one\n").unwrap();
    writer.append(&[long.as_slice(), b"\n"].concat()).unwrap();
    writer.append(b"torn").unwrap();
    writer.sync().unwrap();
    let end = 4 + long.len() as u64 + 1;
    assert_eq!(store.journal_segments().unwrap(), [(FIRST, end + 4)]);
    let read = lines(&store, FIRST);
    assert_eq!(read.len(), 3);
    assert_eq!(read[0], (b"one".to_vec(), 4, true));
    assert_eq!(read[1], (long, end, true));
    assert_eq!(read[2], (b"torn".to_vec(), end + 4, false));
    let mut writer = store.journal_continue(FIRST, end).unwrap();
    writer.append(b"two\n").unwrap();
    writer.sync().unwrap();
    assert_eq!(lines(&store, FIRST)[2], (b"two".to_vec(), end + 4, true));
    assert!(store.journal_continue(FIRST, end + 99).is_err());
    assert!(store.journal_remove(FIRST).unwrap());
    assert!(!store.journal_remove(FIRST).unwrap());
    assert!(store.journal_read(FIRST).unwrap().is_none());
}

#[test]
fn a_power_loss_takes_what_was_not_synced_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::forgetful();
    let store = store(&directory, disk.clone());
    let mut writer = store.journal_create(FIRST).unwrap();
    writer.append(b"kept\n").unwrap();
    writer.sync().unwrap();
    writer.append(b"lost\n").unwrap();
    assert_eq!((writer.synced(), writer.written()), (5, 10));
    disk.crash().unwrap();
    let store = self::store(&directory, Disk::real());
    assert_eq!(lines(&store, FIRST), [(b"kept".to_vec(), 5, true)]);
}
