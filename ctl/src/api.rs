//! The registry's own API as commands use it: one question, whole lists, and what a refusal means; never a command.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mcr_client::{About, Call, Client, Download, Reply};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::address::shown;
use crate::failure::Failure;
use crate::global::Global;
use crate::print::printable;

/// Answers larger than this are not from this registry's API, in bytes.
const MAX_BODY: usize = 16 << 20;
/// How long a command may take where nothing else was said.
const PATIENCE: Duration = Duration::from_secs(60);
/// Entries asked for at a time, as many as the server gives at most.
const PAGE: usize = 1000;
/// Pages that are asked for at most: a million entries.
const MAX_PAGES: usize = 1000;

/// What stands in a query without being escaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The API of one registry, for one command: its patience is counted over all questions.
pub(crate) struct Api {
    client: Client,
    base: Url,
    runtime: Option<Runtime>,
    patience: Duration,
    spent: Cell<Duration>,
    by_token: bool,
    about: About,
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A name lookup that hangs must not hold the process beyond its time.
            runtime.shutdown_background();
        }
    }
}

impl Api {
    /// The API of the registry of `--addr`.
    ///
    /// # Errors
    /// [`Failure::Usage`] where none was said, or its options make no sense.
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        Self::at(global, global.base()?)
    }

    /// The API of the registry at `base`.
    ///
    /// # Errors
    /// [`Failure::Usage`] where options make no sense.
    pub(crate) fn at(global: &Global, base: Url) -> Result<Self, Failure> {
        let client = global.client(base.clone())?;
        Self::of(global, client, base)
    }

    /// The API that `client` asks.
    ///
    /// # Errors
    /// [`Failure::Undetermined`] where no runtime can be had.
    pub(crate) fn of(global: &Global, client: Client, base: Url) -> Result<Self, Failure> {
        Self::over(client, base, global.timeout.unwrap_or(PATIENCE), global.said_token().is_some())
    }

    fn over(client: Client, base: Url, patience: Duration, by_token: bool) -> Result<Self, Failure> {
        let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            built.map_err(|error| Failure::Undetermined(format!("the runtime cannot be started: {error}")))?;
        Ok(Self {
            client,
            base,
            runtime: Some(runtime),
            patience,
            spent: Cell::default(),
            by_token,
            about: About::Nothing,
        })
    }

    /// For questions about this: logins that are limited to some are then asked for that.
    pub(crate) fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    /// The registry, as it was said.
    pub(crate) fn registry(&self) -> &str {
        shown(&self.base)
    }

    /// `host[:port]`, as image names and logins have it.
    pub(crate) fn host(&self) -> &str {
        self.client.host()
    }

    /// Forgets how long it has waited so far, for a command whose time is not that of its questions.
    pub(crate) fn take_heart(&self) {
        self.spent.set(Duration::ZERO);
    }

    /// A GET.
    ///
    /// # Errors
    /// See [`Self::ask`].
    pub(crate) fn get(&self, path: impl Into<String>) -> Result<Value, Failure> {
        self.ask(&Call::get(path))
    }

    /// The document that a registry answers; `null` for an empty answer.
    ///
    /// # Errors
    /// [`Failure::Refused`] where it says no, [`Failure::Undetermined`] where it is not known.
    pub(crate) fn ask(&self, call: &Call) -> Result<Value, Failure> {
        let reply = self.reply(call)?;
        self.judge(call, &reply)
    }

    /// `GET /v2/` with the login, as other registries have it.
    ///
    /// # Errors
    /// That it is refused, or that nobody answered.
    pub(crate) fn ping(&self) -> Result<(), Failure> {
        self.wait(async { Ok(self.client.ping().await?) })
    }

    /// The answer, whatever its status.
    ///
    /// # Errors
    /// [`Failure::Undetermined`] where there is none.
    pub(crate) fn reply(&self, call: &Call) -> Result<Reply, Failure> {
        let call = &call.clone().about(self.about.clone());
        self.wait(async { self.client.call(call, MAX_BODY).await.map_err(|error| self.refused(call, error)) })
    }

    /// An identity token, which docker keeps for some registries, gives tokens for images and for nothing else.
    fn refused(&self, call: &Call, error: mcr_client::Error) -> Failure {
        if !matches!(error, mcr_client::Error::Unauthorized { .. }) {
            return error.into();
        }
        let text = format!("{error}; what docker keeps may be for images only: mcrctl login {}", self.host());
        if call.reads() { Failure::Undetermined(text) } else { Failure::Refused(text) }
    }

    /// A GET whose answer may be of any length; `each` is given its pieces. Its time is not bounded as a whole, only
    /// its silences are.
    ///
    /// # Errors
    /// See [`Self::ask`]; those of `each`.
    pub(crate) fn stream(&self, path: &str, each: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut download: Download = self.wait(async { Ok(self.client.download(path).await?) })?;
        let whole = async {
            let (status, logged_in) = (download.status(), download.logged_in());
            let mut body = Vec::new();
            while let Some(piece) = download.next().await? {
                if status == 200 {
                    each(&piece)?;
                } else if body.len() < MAX_BODY {
                    body.extend_from_slice(&piece);
                }
            }
            let reply = Reply { status, body, location: None, retry_after: None, logged_in };
            if status == 200 { Ok(()) } else { self.judge(&Call::get(path), &reply).map(|_| ()) }
        };
        self.runtime()?.block_on(whole)
    }

    /// Everything a list has, page by page, up to `limit` entries where one is given: the first page's document, with
    /// the entries of all pages under the keys `lists`. Its `next` is that of the last page.
    ///
    /// # Errors
    /// See [`Self::ask`]; [`Failure::Undetermined`] for pages without an end.
    pub(crate) fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        lists: &[&str],
        limit: Option<usize>,
    ) -> Result<Value, Failure> {
        let mut whole = Value::Null;
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let held = lists.iter().map(|list| whole.get(list).and_then(Value::as_array).map_or(0, Vec::len)).max();
            let left = limit.map_or(PAGE, |limit| limit.saturating_sub(held.unwrap_or(0)).min(PAGE));
            let mut pairs = query.to_vec();
            pairs.push(("n", left.to_string()));
            pairs.extend(cursor.clone().map(|cursor| ("last", cursor)));
            let mut page = self.get(format!("{path}{}", query_of(&pairs)))?;
            let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if whole.is_null() {
                whole = page;
            } else {
                append(&mut whole, &mut page, lists);
            }
            let full = limit.is_some_and(|limit| {
                lists.iter().any(|list| whole.get(list).and_then(Value::as_array).is_some_and(|all| all.len() >= limit))
            });
            if next.is_none() || full {
                return Ok(whole);
            }
            if next == cursor {
                break;
            }
            cursor = next;
        }
        Err(Failure::Undetermined(format!("{} lists without an end; ask for less with --limit", self.registry())))
    }

    fn runtime(&self) -> Result<&Runtime, Failure> {
        self.runtime.as_ref().ok_or_else(|| Failure::Undetermined("the runtime has ended".to_owned()))
    }

    /// Runs `work` within what is left of the command's time.
    fn wait<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let left = self.patience.saturating_sub(self.spent.get());
        let began = Instant::now();
        let ended = self.runtime()?.block_on(async { tokio::time::timeout(left, work).await });
        self.spent.set(self.spent.get().saturating_add(began.elapsed()));
        ended.unwrap_or_else(|_| {
            let seconds = self.patience.as_secs_f64();
            let why = self.client.trouble().map(|why| format!(" ({why})")).unwrap_or_default();
            let registry = self.registry();
            Err(Failure::Undetermined(format!(
                "{registry} did not answer within {seconds} s{why}; try a longer --timeout"
            )))
        })
    }

    /// What an answer means: a document, or why there is none.
    ///
    /// # Errors
    /// See [`Self::ask`].
    pub(crate) fn judge(&self, call: &Call, reply: &Reply) -> Result<Value, Failure> {
        let status = reply.status;
        if (200..300).contains(&status) {
            let empty = reply.body.trim_ascii().is_empty();
            let document = if empty { Ok(Value::Null) } else { serde_json::from_slice(&reply.body) };
            return document.map_err(|_| self.strange(call, "with what is no JSON"));
        }
        let said = said(&reply.body);
        let no = |text: String| if call.reads() { Failure::Undetermined(text) } else { Failure::Refused(text) };
        Err(match (status, said) {
            (401, said) => no(format!("{}; {}", self.told(status, said), self.login_advice(reply))),
            (403, said) if reply.logged_in => no(format!(
                "{}; ask an administrator, who sees why with mcrctl policy explain",
                self.told(status, said)
            )),
            // It may be for want of a login, or for good.
            (403, said) => {
                no(format!("{}; if this takes a login: mcrctl login {}", self.told(status, said), self.host()))
            }
            (404 | 405, None) => self.strange(call, &format!("with {status}")),
            (400 | 422, Some(said)) if call.reads() => Failure::Usage(said),
            (400..=499, Some(said)) if status != 429 => Failure::Refused(said),
            (429 | 503, said) => {
                let wait = reply.retry_after.map(|wait| format!("; try again in {} s", wait.as_secs()));
                Failure::Undetermined(format!("{}{}", self.told(status, said), wait.unwrap_or_default()))
            }
            (_, said) => self
                .strange(call, &format!("with {status}{}", said.map(|said| format!(" ({said})")).unwrap_or_default())),
        })
    }

    fn told(&self, status: u16, said: Option<String>) -> String {
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        format!("{} refuses with {status}{said}", self.registry())
    }

    fn login_advice(&self, reply: &Reply) -> String {
        let host = self.host();
        match (self.by_token, reply.logged_in) {
            (true, _) => "check the token: it may have ended, or been revoked, or not be for this".to_owned(),
            (false, true) => format!("the login is wrong or has ended: mcrctl login {host}"),
            (false, false) => format!("log in first: mcrctl login {host}"),
        }
    }

    fn strange(&self, call: &Call, how: &str) -> Failure {
        let (registry, path) = (self.registry(), call.path());
        Failure::Undetermined(format!(
            "{registry} answers {path} {how}, as no MCR of this version does: it is another registry, or older; check --addr"
        ))
    }
}

/// What a refusal says about itself: `{"error":"…"}`. Other forms are not those of this API.
fn said(body: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    document.get("error").and_then(Value::as_str).map(printable).filter(|said| !said.is_empty())
}

/// Moves the entries of `page` behind those of `whole`, and takes over its `next`.
fn append(whole: &mut Value, page: &mut Value, lists: &[&str]) {
    for list in lists {
        if let (Some(Value::Array(all)), Some(Value::Array(more))) = (whole.get_mut(list), page.get_mut(list)) {
            all.append(more);
        }
    }
    if let Some(object) = whole.as_object_mut() {
        let next = page.get("next").cloned().unwrap_or_default();
        object.insert("next".to_owned(), next);
    }
}

/// `?name=value&…`, escaped; nothing where there are no pairs.
pub(crate) fn query_of(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Text as it stands in a path or a query.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests;
