//! Telling "it is not there" from answers that no registry gives; never why it is not there.

use crate::client::strange;
use crate::error::Error;
use crate::response::Answer;
use crate::wire::Ask;

/// The registry says that it has no such thing.
#[derive(Debug)]
pub(crate) struct Absent {
    pub(crate) status: u16,
    pub(crate) detail: Option<String>,
}

/// Reads an answer that is no success.
///
/// # Errors
/// [`Error::Unexpected`] where it says nothing about what was asked for: another 2xx or 3xx, or a 4xx that is not an
/// error of the specification and so may come from something in between.
pub(crate) async fn absent(ask: &Ask, mut answer: Answer) -> Result<Absent, Error> {
    let status = answer.status();
    let said = answer.said().await;
    match status {
        404 | 410 | 451 => Ok(Absent { status, detail: said.text }),
        400..=499 if said.is_registry => Ok(Absent { status, detail: said.text }),
        _ => Err(strange(ask, &answer, said.text)),
    }
}
