//! One request to the registry with its login: an answer that says something, or why there is none; never its meaning.

use reqwest::header::WWW_AUTHENTICATE;

use crate::auth::{Refused, Want};
use crate::client::Inner;
use crate::error::Error;
use crate::response::Answer;
use crate::tries::{Failure, Tries};
use crate::wire::{Ask, origin};

/// How often one request is sent to get past a challenge: without anything, with a token, with one for more scopes,
/// with a new one, and one to spare.
const ROUNDS_MAX: usize = 5;

impl Inner {
    /// The tries of a request, by the settings.
    pub(crate) fn tries(&self, ask: &Ask) -> Tries {
        Tries::new(ask.what(), self.settings.attempts, self.settings.attempts_over).telling(&self.waits_for)
    }

    /// Asks until an answer comes that is neither a refusal nor a failure, as often as `tries` allow.
    ///
    /// # Errors
    /// [`Error`] where it was tried often enough.
    pub(crate) async fn answer(&self, ask: &Ask, want: &Want, tries: &mut Tries) -> Result<Answer, Error> {
        loop {
            match self.exchange(ask, want).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => tries.again(failure).await?,
            }
        }
    }

    /// Asks once, logging in where it is asked for.
    ///
    /// # Errors
    /// [`Failure`] where no answer came, or one that is a refusal.
    pub(crate) async fn exchange(&self, ask: &Ask, want: &Want) -> Result<Answer, Failure> {
        for _ in 0..ROUNDS_MAX {
            let shown = self.auth.show(&self.wire, want).await?;
            let mut answer = self.wire.follow(ask, shown.header.as_ref()).await?;
            let challenged = answer.headers().contains_key(WWW_AUTHENTICATE);
            match answer.status() {
                401 | 403 if answer.is_foreign() => {
                    let host = origin(answer.url());
                    let advice = format!("it leads to {host}, which refuses: the registry's operator has to look");
                    return Err(refusal(ask, answer, advice).await);
                }
                403 if !challenged => return Err(refusal(ask, answer, self.auth.advice(&shown)).await),
                // 403 with a challenge is how RFC 6750 says that a scope is missing.
                401 | 403 => {}
                _ => return self.wire.judged(answer).await,
            }
            match self.auth.learn(&answer, &shown, want).await {
                Ok(()) => answer.drain().await,
                Err(Refused::Failure(failure)) => return Err(failure),
                Err(Refused::Advice(advice)) => return Err(refusal(ask, answer, advice).await),
            }
        }
        Err(Failure::Said(Error::Unauthorized {
            status: 401,
            what: ask.what(),
            reason: "every answer to its challenge brings another challenge".to_owned(),
            advice: "its operator has to look".to_owned(),
        }))
    }
}

/// A refusal that is final, with what the registry says about it.
async fn refusal(ask: &Ask, mut answer: Answer, advice: String) -> Failure {
    let status = answer.status();
    let reason = answer.said().await.text.unwrap_or_else(|| answer.status_text());
    Failure::Said(Error::Unauthorized { status, what: ask.what(), reason, advice })
}
