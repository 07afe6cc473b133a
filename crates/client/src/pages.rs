//! Lists that come in pages: repositories and tags; never the sense of the names.

use crate::client::{Client, unfinished};
use crate::error::Error;

/// The pages of one list, asked for one by one.
#[derive(Debug)]
pub struct Pages {
    pub(crate) client: Client,
}

impl Pages {
    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the list does not exist, else why there is no answer.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, Error> {
        Err(unfinished(&self.client))
    }
}
