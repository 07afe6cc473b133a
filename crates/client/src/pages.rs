//! Lists that come in pages: repositories, tags, referrers; never the sense of the names.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, Url};

use crate::absent::absent;
use crate::auth::Want;
use crate::client::Client;
use crate::error::Error;
use crate::text::line;
use crate::wire::{Ask, without_user};

/// No page is longer, in bytes.
const PAGE_MAX: usize = 16 << 20;

/// No list has more pages.
const PAGES_MAX: usize = 100_000;

/// So many pages in a row may be empty: registries that hide what one may not see leave whole pages empty.
const BARREN_MAX: usize = 64;

/// No name is longer, in bytes: more than the specification allows, so that it can be told what is wrong with it.
const NAME_MAX: usize = 1024;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Repositories,
    Tags,
    /// By their digests.
    Referrers,
}

impl List {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Repositories => "repositories",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
        }
    }

    /// Whether this status says that a registry has no such list at all. What answers a path that it does not know
    /// need not answer in the words of the specification.
    const fn is_unknown(self, status: u16) -> bool {
        matches!((self, status), (Self::Referrers, 400 | 404 | 405 | 501))
    }
}

/// The pages of one list, asked for one by one.
#[derive(Debug)]
pub struct Pages {
    client: Client,
    list: List,
    want: Want,
    state: State,
    /// Of every address so far, a hash: a list that leads in circles has no end.
    seen: HashSet<u64>,
    /// The names of the page before, as hashes.
    before: HashSet<u64>,
    barren: usize,
}

#[derive(Debug)]
enum State {
    Next(Ask),
    Failed(Error),
    Done,
}

#[derive(serde::Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "present")]
    repositories: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    tags: Option<Option<Vec<String>>>,
    /// Stands beside tags.
    #[serde(default)]
    name: Option<String>,
}

/// An index that lists referrers.
#[derive(serde::Deserialize)]
struct Referrers {
    #[serde(deserialize_with = "present")]
    manifests: Option<Option<Vec<Referrer>>>,
}

#[derive(serde::Deserialize)]
struct Referrer {
    digest: String,
}

/// Tells `null` from a key that is absent.
fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<Vec<T>>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}

impl Pages {
    pub(crate) fn new(client: &Client, list: List, path: &str, want: Want) -> Self {
        let state = match client.inner.ask(Method::GET, path) {
            Ok(ask) => State::Next(ask),
            Err(error) => State::Failed(error),
        };
        let (seen, before) = (HashSet::new(), HashSet::new());
        Self { client: client.clone(), list, want, state, seen, before, barren: 0 }
    }

    /// The next page; `None` after the last. May be dropped and called again: it asks for the same page then.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the list does not exist, else why there is no answer. Pages that bring nothing new,
    /// or have no end, are [`Error::Unexpected`].
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, Error> {
        let ask = match &self.state {
            State::Next(ask) => ask.clone(),
            State::Failed(error) => return Err(error.clone()),
            State::Done => return Ok(None),
        };
        let wrong = |reason: &str| Error::Unexpected { what: ask.what(), reason: reason.to_owned() };
        let (names, next) = self.fetch(&ask).await?;
        if names.iter().any(|name| name.len() > NAME_MAX) {
            return Err(wrong("lists a name that is none: it is longer than 1 KiB"));
        }
        let hashes: HashSet<u64> = names.iter().map(|name| hash(name)).collect();
        if let Some(next) = &next {
            self.seen.insert(hash(ask.url.as_str()));
            if self.seen.contains(&hash(next.as_str())) {
                return Err(wrong("its pages lead in a circle"));
            }
            if self.seen.len() >= PAGES_MAX {
                return Err(wrong("its pages have no end"));
            }
        }
        if !hashes.is_empty() {
            // Also on the last page: it was announced as more.
            if !self.before.is_empty() && hashes.is_subset(&self.before) {
                return Err(wrong("a page brings the names of the page before"));
            }
            (self.before, self.barren) = (hashes, 0);
        } else if next.is_some() {
            self.barren = self.barren.saturating_add(1);
            if self.barren > BARREN_MAX {
                return Err(wrong("one page after the other is empty"));
            }
        }
        self.state = next.map_or(State::Done, |url| State::Next(Ask::new(Method::GET, url)));
        Ok(Some(names))
    }

    /// One page, and where the next one is.
    async fn fetch(&self, ask: &Ask) -> Result<(Vec<String>, Option<Url>), Error> {
        let inner = &self.client.inner;
        let mut tries = inner.tries(ask);
        loop {
            let mut answer = inner.answer(ask, &self.want, &mut tries).await?;
            if answer.status() != 200 {
                let detail = if self.list.is_unknown(answer.status()) {
                    answer.said().await.text
                } else {
                    absent(ask, answer).await?.detail
                };
                return Err(Error::NotFound { what: ask.what(), detail });
            }
            let next = match following(answer.headers()).map(|target| resolve(&ask.url, &target)) {
                None => None,
                Some(Ok(next)) => Some(next),
                Some(Err(reason)) => return Err(Error::Unexpected { what: ask.what(), reason }),
            };
            let mut bytes = Vec::new();
            match answer.collect(PAGE_MAX, &mut bytes).await {
                Ok(true) => return Ok((self.names(ask, &bytes)?, next)),
                Ok(false) => {
                    let reason = "a page of its list is longer than 16 MiB".to_owned();
                    return Err(Error::Unexpected { what: ask.what(), reason });
                }
                Err(cut) => tries.again(cut.into()).await?,
            }
        }
    }

    fn names(&self, ask: &Ask, bytes: &[u8]) -> Result<Vec<String>, Error> {
        let names = match self.list {
            List::Repositories => page(bytes).and_then(|page| page.repositories),
            // Some leave the key away where there is none.
            List::Tags => page(bytes).and_then(|page| page.tags.or_else(|| page.name.map(|_| None))),
            List::Referrers => referrers(bytes),
        };
        let names = names.ok_or_else(|| {
            let reason = format!("answers what is not a list of {}", self.list.as_str());
            Error::Unexpected { what: ask.what(), reason }
        })?;
        Ok(names.unwrap_or_default())
    }
}

fn page(bytes: &[u8]) -> Option<Page> {
    serde_json::from_slice(bytes).ok()
}

fn referrers(bytes: &[u8]) -> Option<Option<Vec<String>>> {
    let list: Referrers = serde_json::from_slice(bytes).ok()?;
    list.manifests.map(|all| all.map(|all| all.into_iter().map(|referrer| referrer.digest).collect()))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The target of the `Link` (RFC 8288) that leads on. One without a relation counts, as other clients take it.
fn following(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(links).find(|(_, relation)| relation.is_none_or(is_next)).map(|(target, _)| target.to_owned())
}

fn is_next(relation: &str) -> bool {
    relation.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case("next"))
}

/// Every link of one header with its relation.
fn links(value: &str) -> Vec<(&str, Option<&str>)> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((target, after)) = rest.split_once('<').and_then(|(_, begun)| begun.split_once('>')) {
        // The parameters end where the next link begins: no parameter that matters here holds a `<`.
        let end = after.find('<').unwrap_or(after.len());
        let (parameters, begun) = after.split_at(end);
        rest = begun;
        links.push((target.trim(), relation(parameters)));
    }
    links
}

fn relation(parameters: &str) -> Option<&str> {
    let pairs = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let mut relations = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel"));
    relations.next().map(|(_, value)| value.trim().trim_end_matches(',').trim().trim_matches('"'))
}

/// Where a link leads: on the registry that sent it and nowhere else. Its scheme does not matter, since registries
/// behind a proxy often do not know by which one they are asked.
fn resolve(page: &Url, target: &str) -> Result<Url, String> {
    let shown = line(target);
    let joined = page.join(target).map_err(|_| format!("its next page is at `{shown}`, which is no URL"))?;
    let same_host = joined.host_str() == page.host_str();
    let both_implied = joined.port().is_none() && page.port().is_none();
    let same_port = both_implied || joined.port_or_known_default() == page.port_or_known_default();
    if !same_host || !same_port || !matches!(joined.scheme(), "http" | "https") {
        return Err(format!("its next page is on another host: `{shown}`"));
    }
    let mut next = page.clone();
    without_user(&mut next);
    next.set_path(joined.path());
    next.set_query(joined.query());
    Ok(next)
}

#[cfg(test)]
mod tests;
