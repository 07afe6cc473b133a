//! What an event of the audit trail means for the journal; never how it is written down.

use mcr_metadata::JournalEvent;

/// What follows from an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect<'a> {
    /// Nothing that the journal tells has changed.
    None,
    /// A manifest became live, or was pushed again.
    Push { repository: &'a str, digest: &'a str },
    /// A tag moved.
    Tag { repository: &'a str, tag: &'a str, digest: &'a str },
    /// A tag went.
    Untag { repository: &'a str, tag: &'a str },
    /// A manifest went.
    Delete { repository: &'a str, digest: &'a str },
    /// A repository went with everything in it.
    Gone { repository: &'a str },
    /// Something changed in a repository: it is told anew.
    Repository { repository: &'a str },
    /// An event this program does not know: everything is told anew.
    Everything,
}

/// Events that change no live manifest and no tag.
const NEUTRAL: [&str; 27] = [
    "audit_gap",
    "blob_deleted",
    "blob_healed",
    "blob_quarantined",
    "blob_uploaded",
    "config_reloaded",
    "integrity_finding",
    "login",
    "login_failed",
    "logout",
    "manifest_pulled",
    "plan_confirmed",
    "plan_discarded",
    "policy_deny",
    "policy_rule_created",
    "policy_rule_deleted",
    "policy_rule_updated",
    "push_refused",
    // The collector takes what is a tombstone already, and retention tells every tag and manifest it takes.
    "retention_completed",
    "retention_started",
    // Each tag and manifest that came back is told by itself.
    "run_restored",
    "snapshot_restored",
    "snapshot_taken",
    "snapshot_failed",
    "snapshot_removed",
    "token_created",
    "token_revoked",
];

/// Families of events that change no live manifest and no tag either.
const NEUTRAL_FAMILIES: [&str; 5] = ["gc_", "scrub_", "import_", "plan_", "retention_"];

/// What follows from `event`.
pub(crate) fn of(event: &JournalEvent) -> Effect<'_> {
    let (repository, tag, digest) = (event.repository.as_deref(), event.tag.as_deref(), event.digest.as_deref());
    let name = event.event.as_str();
    if NEUTRAL.contains(&name) || NEUTRAL_FAMILIES.iter().any(|family| name.starts_with(family)) {
        return Effect::None;
    }
    let Some(repository) = repository else { return Effect::Everything };
    match (name, tag, digest) {
        ("manifest_pushed" | "manifest_restored", _, Some(digest)) => Effect::Push { repository, digest },
        ("tag_moved" | "tag_restored", Some(tag), Some(digest)) => Effect::Tag { repository, tag, digest },
        ("tag_deleted", Some(tag), _) => Effect::Untag { repository, tag },
        ("manifest_deleted", _, Some(digest)) => Effect::Delete { repository, digest },
        ("repo_deleted", _, _) => Effect::Gone { repository },
        // Whatever else happened to it: its rows say.
        _ => Effect::Repository { repository },
    }
}

#[cfg(test)]
mod tests {
    use mcr_metadata::AuditPosition;

    use super::*;

    fn event(name: &str, repository: Option<&str>, tag: Option<&str>, digest: Option<&str>) -> JournalEvent {
        JournalEvent {
            position: AuditPosition { seq: 1, hash: String::new() },
            at_ms: 1,
            event: name.to_owned(),
            repository: repository.map(str::to_owned),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        }
    }

    #[test]
    fn events_mean_what_they_did() {
        let (repository, tag, digest) = ("r", "t", "d");
        let about = |name| event(name, Some(repository), Some(tag), Some(digest));
        let cases = [
            ("manifest_pushed", Effect::Push { repository, digest }),
            ("tag_moved", Effect::Tag { repository, tag, digest }),
            ("tag_deleted", Effect::Untag { repository, tag }),
            ("manifest_deleted", Effect::Delete { repository, digest }),
            ("repo_deleted", Effect::Gone { repository }),
            ("tag_restored", Effect::Tag { repository, tag, digest }),
            ("manifest_restored", Effect::Push { repository, digest }),
            ("repo_restored", Effect::Repository { repository }),
            ("never_heard_of", Effect::Repository { repository }),
            ("manifest_pulled", Effect::None),
            ("gc_removed", Effect::None),
        ];
        for (name, effect) in cases {
            assert_eq!(of(&about(name)), effect, "{name}");
        }
        assert_eq!(of(&event("never_heard_of", None, None, None)), Effect::Everything);
        assert_eq!(of(&event("login", None, None, None)), Effect::None);
        assert_eq!(of(&event("tag_moved", Some(repository), None, None)), Effect::Repository { repository });
    }
}
