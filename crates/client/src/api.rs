//! The registry's own API below `/v1/`: one request with its login, and the answer as it is; never what it means.

use mcr_oci::RepositoryName;
use reqwest::Method;
use reqwest::header::LOCATION;

use crate::answers::{Download, Reply};
use crate::auth::{Want, Whole};
use crate::client::Client;
use crate::error::Error;
use crate::response::Answer;
use crate::tries::{Failure, Tries};
use crate::wire::Ask;

/// One request to the registry's own API.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    body: Option<serde_json::Value>,
    logged_in: bool,
    patient: bool,
    reads: bool,
    about: About,
}

/// What a request is about, where a login is exchanged for tokens of some scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum About {
    /// What no scope can name.
    #[default]
    Nothing,
    /// The list of repositories.
    Catalog,
    /// A repository.
    Repository(RepositoryName),
}

impl Call {
    /// A GET of `path`, which holds the query.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::of(Method::GET, path.into(), None)
    }

    /// A POST of a JSON document.
    #[must_use]
    pub fn post(path: impl Into<String>, body: serde_json::Value) -> Self {
        Self::of(Method::POST, path.into(), Some(body))
    }

    /// A PUT of a JSON document.
    #[must_use]
    pub fn put(path: impl Into<String>, body: serde_json::Value) -> Self {
        Self::of(Method::PUT, path.into(), Some(body))
    }

    /// A PATCH with a JSON document.
    #[must_use]
    pub fn patch(path: impl Into<String>, body: serde_json::Value) -> Self {
        Self::of(Method::PATCH, path.into(), Some(body))
    }

    /// A DELETE of `path`.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self::of(Method::DELETE, path.into(), None)
    }

    fn of(method: Method, path: String, body: Option<serde_json::Value>) -> Self {
        let reads = method == Method::GET;
        Self { method, path, body, logged_in: true, patient: true, reads, about: About::Nothing }
    }

    /// Without the login, also where there is one.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.logged_in = false;
        self
    }

    /// 429 and 503 are answers, not something to wait for.
    #[must_use]
    pub fn impatient(mut self) -> Self {
        self.patient = false;
        self
    }

    /// With what it is about.
    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    fn want(&self) -> Want {
        match &self.about {
            About::Nothing => Want::nothing(),
            About::Catalog => Want::catalog(),
            About::Repository(name) if self.reads => Want::pull(name),
            About::Repository(name) => Want::of(name, "pull,delete"),
        }
    }

    /// It changes nothing, whatever its method: it may be sent again after a failure.
    #[must_use]
    pub fn reading(mut self) -> Self {
        self.reads = true;
        self
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.reads
    }

    /// What is asked for, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

impl Client {
    /// Sends one request to the registry's own API, with the login that there is. Every status that is no failure of
    /// the registry is an answer, refusals too. What changes something is sent again only where it was certainly not
    /// done.
    ///
    /// # Errors
    /// [`Error`] where there is no answer, or one of more than `max` bytes; [`Error::Unclear`] where something may
    /// have been changed.
    pub async fn call(&self, call: &Call, max: usize) -> Result<Reply, Error> {
        let ask = self.ask(call)?;
        let mut tries = self.inner.tries(&ask);
        loop {
            let (mut answer, logged_in) = self.answered(&ask, call, &mut tries).await?;
            let mut body = Vec::new();
            match answer.collect(max, &mut body).await {
                Ok(true) => return Ok(reply(&answer, body, logged_in)),
                Ok(false) => {
                    let reason = format!("the answer is longer than {max} bytes");
                    return Err(Error::Unexpected { what: ask.what(), reason });
                }
                Err(cut) => again(&ask, call, &mut tries, cut.into()).await?,
            }
        }
    }

    /// A GET of the registry's own API whose answer may be of any length.
    ///
    /// # Errors
    /// [`Error`] where there is no answer.
    pub async fn download(&self, path: impl Into<String>) -> Result<Download, Error> {
        let call = Call::get(path);
        let ask = self.ask(&call)?;
        let mut tries = self.inner.tries(&ask);
        let (answer, logged_in) = self.answered(&ask, &call, &mut tries).await?;
        Ok(Download { what: ask.what(), answer, logged_in })
    }

    fn ask(&self, call: &Call) -> Result<Ask, Error> {
        let mut ask = self.inner.ask(call.method.clone(), &call.path)?;
        ask.accept = Some("application/json, */*;q=0.1");
        ask.json = call.body.as_ref().map(ToString::to_string);
        Ok(ask)
    }

    /// The head of an answer, and whether a login was sent for it.
    async fn answered(&self, ask: &Ask, call: &Call, tries: &mut Tries) -> Result<(Answer, bool), Error> {
        loop {
            match self.once(ask, call).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => again(ask, call, tries, failure).await?,
            }
        }
    }

    async fn once(&self, ask: &Ask, call: &Call) -> Result<(Answer, bool), Failure> {
        let login = if call.logged_in { self.inner.auth.whole_login().await? } else { Whole::Nothing };
        let header = match login {
            Whole::Exchanged => return Ok((self.inner.exchange(ask, &call.want()).await?, true)),
            Whole::Header(header) => Some(header),
            Whole::Nothing => None,
        };
        let answer = self.inner.wire.follow(ask, header.as_ref()).await?;
        if !call.patient && matches!(answer.status(), 429 | 503) {
            return Ok((answer, header.is_some()));
        }
        Ok((self.inner.wire.judged(answer).await?, header.is_some()))
    }
}

/// Waits until a request may be sent again.
async fn again(ask: &Ask, call: &Call, tries: &mut Tries, failure: Failure) -> Result<(), Error> {
    match failure {
        Failure::Reset { reason } | Failure::Broken { reason, .. } if !call.reads => {
            Err(Error::Unclear { what: ask.what(), reason })
        }
        failure => tries.again(failure).await,
    }
}

fn reply(answer: &Answer, body: Vec<u8>, logged_in: bool) -> Reply {
    Reply {
        status: answer.status(),
        body,
        location: answer.header(&LOCATION).map(str::to_owned),
        retry_after: answer.retry_after(&mcr_seams::Clock::system()),
        logged_in,
    }
}

#[cfg(test)]
mod tests;
