//! A client: pushes images and indexes of shared layers as crane and docker do — HEAD, mount, upload, manifest — and
//! pulls and deletes what is listed; never a collection.

use mcr_oci::media_type;
use mcr_tests::{Blob, Client, Image, Index, Random, pull, push};

use crate::game::{Game, Lost, Promises, SHARED, expect};

/// The layers that children of indexes are made of.
const CHILDREN: [[usize; 2]; 5] = [[0, 1], [1, 2], [3, 4], [5, 6], [6, 0]];

/// One of them.
pub(crate) struct Pusher<'a> {
    pub(crate) game: &'a Game,
    pub(crate) random: Random,
    pub(crate) number: usize,
}

impl Pusher<'_> {
    /// Pushes and pulls until the race is over.
    pub(crate) fn run(mut self) {
        while !self.game.over() {
            let client = self.game.client();
            let outcome = match self.random.below(8) {
                0 | 1 => self.pull(&client),
                2 => self.delete(&client),
                3 | 4 => self.push_index(&client),
                _ => self.push_image(&client),
            };
            match outcome {
                Ok(()) => {}
                Err(Lost::Connection) => std::thread::sleep(std::time::Duration::from_millis(20)),
                Err(Lost::Answer(what)) => self.game.ledger.wrong(format!("client {}: {what}", self.number)),
            }
        }
    }

    /// Where to, under which tag, and whether nobody may take it away.
    fn place(&mut self) -> (String, String, bool) {
        if self.random.once_in(4) {
            return (format!("keep/{}", self.number), format!("t{}", self.random.below(6)), true);
        }
        let repository = (*self.random.pick(&SHARED)).to_owned();
        (repository, format!("c{}-{}", self.number, self.random.below(8)), false)
    }

    fn image(&mut self, architecture: &str) -> Image {
        let layers = (0..1 + self.random.below(3)).map(|_| self.random.pick(&self.game.layers).clone());
        Image::over(architecture, layers.collect())
    }

    /// One of few images, so that a child belongs to many indexes, of which some go while others come.
    fn child(&mut self, architecture: &str) -> Image {
        let layers = self.random.pick(&CHILDREN).iter().map(|layer| self.game.layers[*layer].clone());
        Image::over(architecture, layers.collect())
    }

    fn push_image(&mut self, client: &Client) -> Result<(), Lost> {
        let (repository, tag, kept) = self.place();
        // Of another architecture than any child: what is deleted by its digest is then nobody's child.
        let image = self.image("s390x");
        let promises = Promises::new();
        self.blobs(client, &repository, &image)?;
        let media_type = image.media_type.clone();
        self.tag(client, (&repository, &tag, kept), &media_type, &image.manifest, &promises)?;
        self.game.ledger.count("images pushed");
        Ok(())
    }

    fn push_index(&mut self, client: &Client) -> Result<(), Lost> {
        let (repository, tag, kept) = self.place();
        let images = vec![self.child("amd64"), self.child("arm64")];
        let promises = Promises::new();
        for image in &images {
            let digest = image.digest().to_string();
            let target = format!("/v2/{repository}/manifests/{digest}");
            // As crane does: what answers 200 is not sent.
            if client.request("HEAD", &target).send()?.status == 200 {
                self.game.ledger.count("children relied on");
                continue;
            }
            self.blobs(client, &repository, image)?;
            self.manifest(client, &repository, &digest, &image.media_type, &image.manifest, &promises)?;
        }
        let index = Index::over(images);
        self.tag(client, (&repository, &tag, kept), media_type::OCI_INDEX, &index.manifest, &promises)?;
        self.game.ledger.count("indexes pushed");
        Ok(())
    }

    fn blobs(&mut self, client: &Client, repository: &str, image: &Image) -> Result<(), Lost> {
        for blob in image.blobs() {
            self.blob(client, repository, blob)?;
        }
        Ok(())
    }

    /// Relies on a HEAD, else mounts, else uploads.
    fn blob(&mut self, client: &Client, repository: &str, blob: &Blob) -> Result<(), Lost> {
        let there = client.request("HEAD", &format!("/v2/{repository}/blobs/{}", blob.digest)).send()?;
        if expect(there, "HEAD of a blob", &[200, 404])?.status == 200 {
            self.game.ledger.count("blobs relied on");
            return Ok(());
        }
        if self.random.once_in(2) {
            let from = self.random.pick(&SHARED);
            let target = format!("/v2/{repository}/blobs/uploads/?mount={}&from={from}", blob.digest);
            let mounted = expect(client.request("POST", &target).body(b"").send()?, "a mount", &[201, 202])?;
            if mounted.status == 201 {
                self.game.ledger.count("blobs mounted");
                return Ok(());
            }
        }
        self.game.ledger.count("blobs uploaded");
        expect(push::try_blob(client, repository, blob)?, "an upload", &[201]).map(drop)
    }

    /// Puts a manifest under a tag, and notes what came of it where nobody may take the tag away.
    fn tag(
        &self,
        client: &Client,
        (repository, tag, kept): (&str, &str, bool),
        media_type: &str,
        manifest: &Blob,
        promises: &Promises,
    ) -> Result<(), Lost> {
        let (ledger, digest) = (&self.game.ledger, manifest.digest.as_str());
        if kept {
            ledger.begin(repository, tag, digest);
        }
        let taken = self.manifest(client, repository, tag, media_type, manifest, promises)?;
        if kept {
            ledger.answered(repository, tag, digest, taken);
        }
        Ok(())
    }

    /// Puts a manifest. It may be refused only where a promise has run out.
    fn manifest(
        &self,
        client: &Client,
        repository: &str,
        reference: &str,
        media_type: &str,
        manifest: &Blob,
        promises: &Promises,
    ) -> Result<bool, Lost> {
        let answer = push::try_manifest(client, repository, reference, media_type, &manifest.bytes)?;
        if answer.status == 201 {
            return Ok(true);
        }
        if !promises.hold() {
            self.game.ledger.count("pushes that took too long");
            return Ok(false);
        }
        expect(answer, &format!("PUT {repository} {reference}, everything promised"), &[201]).map(|_| true)
    }

    /// Deletes a listed tag, or what it points at.
    fn delete(&mut self, client: &Client) -> Result<(), Lost> {
        let Some((repository, tag)) = self.listed(client)? else { return Ok(()) };
        let reference = if self.random.once_in(2) { self.points_at(client, &repository, &tag)? } else { Some(tag) };
        let Some(reference) = reference else { return Ok(()) };
        let target = format!("/v2/{repository}/manifests/{reference}");
        expect(client.request("DELETE", &target).send()?, "a delete", &[202, 404, 405])?;
        self.game.ledger.count("deletes");
        Ok(())
    }

    /// One of the tags of a shared repository.
    fn listed(&mut self, client: &Client) -> Result<Option<(String, String)>, Lost> {
        let repository = (*self.random.pick(&SHARED)).to_owned();
        let listed = client.request("GET", &format!("/v2/{repository}/tags/list")).send()?;
        let listed = expect(listed, "a list", &[200, 404])?;
        if listed.status == 404 {
            return Ok(None);
        }
        let tags: Vec<String> = serde_json::from_value(listed.json()["tags"].clone()).unwrap_or_default();
        if tags.is_empty() {
            return Ok(None);
        }
        let tag = self.random.pick(&tags).clone();
        Ok(Some((repository, tag)))
    }

    /// Pulls a listed tag. What cannot be pulled whole although it stands as it stood, three times over, is a lie.
    fn pull(&mut self, client: &Client) -> Result<(), Lost> {
        let Some((repository, tag)) = self.listed(client)? else { return Ok(()) };
        let mut why = String::new();
        for _ in 0..3 {
            let Some(before) = self.points_at(client, &repository, &tag)? else { return Ok(()) };
            match pull::pull_whole(client, &repository, &before) {
                Ok(_) => {
                    self.game.ledger.count("pulls");
                    return Ok(());
                }
                Err(reason) => why = reason,
            }
            if self.points_at(client, &repository, &tag)?.as_ref() != Some(&before) {
                return Ok(());
            }
        }
        Err(Lost::Answer(format!("{repository}:{tag} is listed and cannot be pulled: {why}")))
    }

    fn points_at(&self, client: &Client, repository: &str, tag: &str) -> Result<Option<String>, Lost> {
        let head = client.request("HEAD", &format!("/v2/{repository}/manifests/{tag}")).send()?;
        let head = expect(head, "HEAD of a tag", &[200, 404])?;
        Ok(head.header("docker-content-digest").filter(|_| head.status == 200).map(str::to_owned))
    }
}
