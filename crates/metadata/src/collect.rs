//! From when on content may be removed for good, and its removal; every condition is looked at inside the transaction.

/// The times of one run, in milliseconds: from when on something may go (contract section 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
    /// How long content stays after the last live reference to it, or promise about it: grace or lease, the longer.
    pub wait_ms: i64,
    /// How long a promise holds.
    pub lease_ms: i64,
    /// How long what was deleted can be restored.
    pub undo_ms: i64,
}
