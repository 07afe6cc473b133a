//! Lists, URLs and names of the configuration, read into a form that compares; never which key they belong to.

use ipnet::IpNet;

use super::{Raw, text};

/// Items of a list. A single text is a list of one; an environment variable separates items by commas.
fn items(raw: &Raw) -> Option<Vec<&str>> {
    match raw {
        Raw::List(items) => items.iter().map(text).collect(),
        Raw::Text(one) => Some(vec![one]),
        Raw::Bare(several) => Some(several.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
        _ => None,
    }
}

/// A list whose every item `read` accepts, with what it makes of it.
fn list(raw: &Raw, read: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    items(raw)?.into_iter().map(read).collect()
}

/// The longest name and URL, in bytes.
const MAX_TEXT: usize = 1024;

/// Base URLs under which clients come: scheme, host, perhaps a port, nothing after it.
pub(super) fn urls(raw: &Raw) -> Option<Vec<String>> {
    list(raw, |item| {
        let (scheme, authority) = split_url(item.strip_suffix('/').unwrap_or(item))?;
        Some(format!("{scheme}://{authority}"))
    })
    .filter(|urls| !urls.is_empty())
}

/// An https URL, perhaps with a path.
pub(super) fn https_url(raw: &Raw) -> Option<String> {
    let url = text(raw)?.trim_end_matches('/');
    let rest = url.strip_prefix("https://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._~-".contains(c);
    (url.len() <= MAX_TEXT && is_authority(authority) && path.chars().all(plain)).then(|| url.to_owned())
}

fn split_url(url: &str) -> Option<(&str, String)> {
    let (scheme, authority) = url.split_once("://")?;
    let authority = authority.to_ascii_lowercase();
    (matches!(scheme, "http" | "https") && is_authority(&authority)).then_some((scheme, authority))
}

fn is_authority(text: &str) -> bool {
    crate::http::external::Authority::parse(text).is_some()
}

/// Networks such as `10.0.0.0/8`; a bare address is a network of one.
pub(super) fn networks(raw: &Raw) -> Option<Vec<String>> {
    list(raw, |item| {
        let network = item.parse::<IpNet>().ok().or_else(|| item.parse::<std::net::IpAddr>().ok().map(IpNet::from))?;
        Some(network.trunc().to_string())
    })
}

/// Patterns of account names.
pub(super) fn names(raw: &Raw) -> Option<Vec<String>> {
    list(raw, |item| {
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, ':' | '"' | '\\');
        (!item.is_empty() && item.len() <= 255 && item.chars().all(plain)).then(|| item.to_owned())
    })
}

/// Short texts that a program reads, such as tags.
pub(super) fn words(raw: &Raw) -> Option<Vec<String>> {
    list(raw, |item| word(item).map(str::to_owned))
}

/// A short text without spaces and quotes.
pub(super) fn word(item: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ',');
    (!item.is_empty() && item.len() <= 255 && item.chars().all(plain)).then_some(item)
}

/// What `[policy] user_default` may name.
pub const USER_ACTIONS: [mcr_access::Kind; 4] =
    [mcr_access::Kind::Pull, mcr_access::Kind::Push, mcr_access::Kind::Delete, mcr_access::Kind::Catalog];

/// Actions, by their short names.
pub(super) fn actions(raw: &Raw) -> Option<Vec<String>> {
    list(raw, |item| {
        let kind = mcr_access::Kind::parse(item).filter(|kind| USER_ACTIONS.contains(kind))?;
        Some(short(kind).to_owned())
    })
}

/// `pull` for `registry:pull`.
#[must_use]
pub fn short(kind: mcr_access::Kind) -> &'static str {
    kind.as_str().split_once(':').map_or(kind.as_str(), |(_, short)| short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(item: &str) -> Raw {
        Raw::Text(item.to_owned())
    }

    fn several(items: &[&str]) -> Raw {
        Raw::List(items.iter().map(|item| one(item)).collect())
    }

    #[test]
    fn external_urls_are_one_or_several_without_a_path() {
        assert_eq!(urls(&one("https://Reg.example:8443/")), Some(vec!["https://reg.example:8443".to_owned()]));
        let two = Some(vec!["https://a".to_owned(), "http://b:80".to_owned()]);
        assert_eq!(urls(&several(&["https://a", "http://b:80"])), two);
        assert_eq!(urls(&Raw::Bare("https://a, http://b:80".to_owned())), two);
        for bad in [
            "reg.example",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://a:x",
            "https://a b",
        ] {
            assert_eq!(urls(&one(bad)), None, "{bad}");
        }
        assert_eq!(urls(&several(&[])), None);
    }

    #[test]
    fn the_identity_service_is_asked_over_https_only() {
        assert_eq!(https_url(&one("https://id.example:8443/mcias/")), Some("https://id.example:8443/mcias".to_owned()));
        for bad in ["http://id.example", "id.example", "https://", "https://a/?b=c", "https://u:p@a"] {
            assert_eq!(https_url(&one(bad)), None, "{bad}");
        }
    }

    #[test]
    fn networks_are_kept_without_their_host_bits() {
        let read = networks(&several(&["10.1.2.3/8", "192.0.2.7", "2001:db8::1/32", "::1"]));
        assert_eq!(read.unwrap(), ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::1/128"]);
        assert_eq!(networks(&several(&[])), Some(Vec::new()));
        for bad in ["10.0.0.0/33", "localhost", "10.0.0", ""] {
            assert_eq!(networks(&several(&[bad])), None, "{bad}");
        }
    }

    #[test]
    fn names_may_be_patterns_and_addresses() {
        assert!(names(&several(&["ann", "ci-*", "Bob.Ä@example.org"])).is_some());
        for bad in ["", "a b", "a:b", "a\nb"] {
            assert_eq!(names(&several(&[bad])), None, "{bad:?}");
        }
    }

    #[test]
    fn actions_are_those_a_rule_gives_in_repositories() {
        assert_eq!(
            actions(&several(&["pull", "registry:catalog"])),
            Some(vec!["pull".to_owned(), "catalog".to_owned()])
        );
        assert_eq!(actions(&several(&[])), Some(Vec::new()));
        for bad in ["policy:manage", "manage", "administer", "fly", ""] {
            assert_eq!(actions(&several(&[bad])), None, "{bad}");
        }
    }
}
