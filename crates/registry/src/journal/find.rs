//! Finding, at the start, where the journal ends and whether it can be continued; never writing to it.

use mcr_blobs::{JournalSegment, Store};

use super::Trouble;
use super::line::{self, Begin, Dumped, FORMAT, Op};
use super::writer::End;

/// What is there of the journal.
#[derive(Debug)]
pub(crate) enum Found {
    /// A generation of this registry, and where it ends.
    Usable { generation: u64, end: End },
    /// The newest file has not a line in it: it tells nothing, and the one before it is the last.
    Unbegun(JournalSegment),
    /// None that can be continued, and why.
    Unusable(String),
}

/// Looks at the newest generation, and says its number. Of a segment that failed in this process only the first
/// `believed` bytes count.
pub(crate) fn find(
    store: &Store,
    registry: &str,
    believed: Option<(JournalSegment, u64)>,
) -> Result<(Found, u64), Trouble> {
    let segments = store.journal_segments()?;
    let unusable = |why: &str| Found::Unusable(why.to_owned());
    let Some((last, _)) = segments.last().copied() else { return Ok((unusable("there is none yet"), 0)) };
    let newest: Vec<_> = segments.iter().filter(|(segment, _)| segment.generation == last.generation).collect();
    if newest.iter().zip(1..).any(|((segment, _), number)| segment.segment != number) {
        return Ok((unusable("one of its files is missing"), last.generation));
    }
    let before: u64 = newest.iter().rev().skip(1).map(|(_, length)| *length).sum();
    let previous = newest.iter().rev().nth(1).map_or(0, |(_, length)| *length);
    let believed = believed.filter(|(segment, _)| *segment == last).map_or(u64::MAX, |(_, length)| length);
    let found = match read_last(store, last, believed)? {
        Err(why) => unusable(why),
        Ok(None) => Found::Unbegun(last),
        Ok(Some(read)) if read.begin.registry != registry => unusable("it is of another registry"),
        Ok(Some(read)) if read.begin.before != previous => unusable("a file of it was cut"),
        Ok(Some(read)) => Found::Usable { generation: last.generation, end: read.end(last, before) },
    };
    Ok((found, last.generation))
}

/// The last segment, read to its end.
struct Read {
    begin: Begin,
    complete: bool,
    dumped: Option<Dumped>,
    length: u64,
    lines: u64,
    position: mcr_metadata::AuditPosition,
}

impl Read {
    fn end(self, last: JournalSegment, before: u64) -> End {
        End {
            segment: last.segment,
            length: self.length,
            before,
            lines: self.lines,
            complete: self.complete,
            continues: self.begin.continues,
            dumped: self.dumped,
            position: self.position,
        }
    }
}

/// What there is to read of a segment, if anything; or why that cannot be relied on.
type Looked = Result<Option<Read>, &'static str>;

/// Reads a segment. What is torn at its end is left out; damage before good lines is told.
fn read_last(store: &Store, segment: JournalSegment, believed: u64) -> Result<Looked, Trouble> {
    let Some(mut reader) = store.journal_read(segment)? else { return Ok(Err("it went while it was looked at")) };
    let mut read: Option<Read> = None;
    let (mut torn, mut lines) = (false, 0_u64);
    while let Some(line) = reader.next_line()? {
        if line.end > believed {
            break;
        }
        lines += u64::from(line.whole);
        let said = if line.whole { line::read(line.bytes) } else { None };
        let Some((n, op)) = said else {
            torn = true;
            continue;
        };
        let Some(known) = &mut read else {
            let Op::Begin(begin) = op else { return Ok(Err("it does not begin as one")) };
            if begin.format != FORMAT {
                return Ok(Err("it is of another format"));
            }
            let (position, complete, dumped) = (begin.position(), begin.complete, begin.dumped.clone());
            read = Some(Read { begin, complete, dumped, length: line.end, lines: n, position });
            continue;
        };
        if torn || n != known.lines + 1 {
            return Ok(Err("it is damaged"));
        }
        match op {
            Op::At { seq, hash, dumped } => {
                known.position = mcr_metadata::AuditPosition { seq, hash };
                known.dumped = dumped.or(known.dumped.take());
            }
            Op::Complete => known.complete = true,
            _ => {}
        }
        (known.lines, known.length) = (n, line.end);
    }
    Ok(if read.is_none() && lines > 0 { Err("its last file is damaged") } else { Ok(read) })
}
