//! Who pointed the tags of a sink that keeps no record of it: the origin's manifests tell; never which tags stay.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::stream::{self, StreamExt as _};
use mcr_oci::Digest;

use crate::origin::{Origin, Place, TagAt, Trouble};
use crate::run::Run;
use crate::sink::{Sink, TagHere};

impl<O: Origin, S: Sink> Run<'_, O, S> {
    /// Finds out of each tag that is not where the origin has it, and of which the sink does not know, who pointed it
    /// there. What it points at was pushed here where the origin's repository has never heard of it. (The origin may
    /// have removed it since: then the tag is taken for ours too, which overwrites nothing.)
    ///
    /// # Errors
    /// The origin's inability to look.
    pub(crate) async fn who_pointed(
        &self,
        place: &Place,
        mut here: BTreeMap<String, TagHere>,
        listed: &[TagAt],
    ) -> Result<BTreeMap<String, TagHere>, Trouble> {
        let there: HashMap<&str, &Digest> = listed.iter().map(|tag| (tag.tag.as_str(), &tag.digest)).collect();
        let open = |tag: &str, at: &TagHere| at.imported.is_none() && there.get(tag) != Some(&&at.digest);
        let digests: BTreeSet<Digest> =
            here.iter().filter(|(tag, at)| open(tag, at)).map(|(_, at)| at.digest.clone()).collect();
        let mut answers = stream::iter(digests)
            .map(|digest| async move { self.origin.knows(place, &digest).await.map(|known| (digest, known)) })
            .buffer_unordered(self.options.jobs.max(1));
        let mut known = HashMap::new();
        while let Some(answer) = answers.next().await {
            let (digest, is_known) = answer?;
            known.insert(digest, is_known);
        }
        for (_, at) in here.iter_mut().filter(|(tag, at)| open(tag, at)) {
            at.imported = known.get(&at.digest).copied();
        }
        Ok(here)
    }
}
