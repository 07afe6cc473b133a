//! What `verify` found, as the JSON of contract section 5; never text for people.

use mcr_verifier::{Checked, Skipped};
use serde_json::{Value, json};

use super::Looked;

/// The document of all references.
pub(super) fn json(looked: &[Looked]) -> Value {
    json!({
        "references": looked.iter().map(reference).collect::<Vec<_>>(),
        "sound": looked.iter().all(Looked::is_sound),
    })
}

fn reference(looked: &Looked) -> Value {
    let verified = looked.verified.as_ref();
    let mut value = json!({ "reference": looked.target.text });
    if let (Some(digest), Some(object)) =
        (verified.and_then(|verified| verified.digest.as_ref()), value.as_object_mut())
    {
        object.insert("digest".to_owned(), json!(digest.as_str()));
    }
    let rest = json!({
        "level": looked.level,
        "sound": looked.is_sound(),
        "checked": verified.map_or_else(Checked::default, |verified| verified.checked),
        "skipped": verified.map(|verified| verified.skipped.iter().map(skipped).collect::<Vec<_>>()).unwrap_or_default(),
        "findings": looked.findings,
        "duration_ms": u64::try_from(looked.duration.as_millis()).unwrap_or(u64::MAX),
    });
    if let (Some(object), Value::Object(rest)) = (value.as_object_mut(), rest) {
        object.extend(rest);
    }
    value
}

fn skipped(skipped: &Skipped) -> Value {
    let descriptor = &skipped.descriptor;
    let mut value = json!({
        "digest": descriptor.digest.as_str(),
        "media_type": descriptor.media_type,
        "size": descriptor.size,
        "parent": skipped.parent.as_str(),
        "reason": skipped.reason,
    });
    if let (Some(platform), Some(object)) = (&descriptor.platform, value.as_object_mut()) {
        object.insert("platform".to_owned(), json!(platform.to_string()));
    }
    value
}
