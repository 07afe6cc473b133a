//! Clients that push, move and delete without pause until the server is gone; never one that hides a refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcr_oci::media_type;
use mcr_tests::push::{location, with_query};
use mcr_tests::{Blob, Client, Failure, Image, Index, Random, Response};

use crate::promises::Promises;

/// What all clients of a run share.
pub(crate) struct Crowd {
    /// Set when they shall end.
    pub(crate) stop: AtomicBool,
    pub(crate) promises: Promises,
    /// Layers that several images have, so that pushes of one blob meet.
    pub(crate) shared: Vec<Blob>,
}

impl Crowd {
    pub(crate) fn new(random: &mut Random) -> Arc<Self> {
        let shared = (0..6).map(|_| Blob::random(random, 3000)).collect();
        Arc::new(Self { stop: AtomicBool::new(false), promises: Promises::default(), shared })
    }
}

/// One of them: tags of its own, in a repository that others push into as well.
pub(crate) struct Pusher<'a> {
    pub(crate) client: &'a Client,
    pub(crate) crowd: &'a Crowd,
    pub(crate) random: Random,
    pub(crate) number: usize,
}

/// The server is gone, or says that it cannot now.
pub(crate) struct Ended;

impl From<Failure> for Ended {
    fn from(_: Failure) -> Self {
        Self
    }
}

impl Pusher<'_> {
    /// Works until told to stop or until the server is gone.
    pub(crate) fn work(&mut self) {
        while !self.crowd.stop.load(Ordering::Relaxed) {
            if self.step().is_err() {
                return;
            }
        }
    }

    fn step(&mut self) -> Result<(), Ended> {
        let repository = format!("team/{}", self.random.below(3));
        let tag = format!("c{}-t{}", self.number, self.random.below(6));
        match self.random.below(8) {
            0 => self.delete_tag(&repository, &tag),
            1 | 2 => self.push_index(&repository, &tag),
            _ => self.push_image(&repository, &tag),
        }
    }

    fn image(&mut self, architecture: &str) -> Image {
        let mut layers = vec![self.random.pick(&self.crowd.shared).clone()];
        // A few are too long for one piece.
        let length = if self.random.once_in(12) { 400_000 } else { 1 + self.random.below(20_000) };
        layers.push(Blob::random(&mut self.random, length));
        Image::over(architecture, layers)
    }

    fn push_image(&mut self, repository: &str, tag: &str) -> Result<(), Ended> {
        let image = self.image("amd64");
        self.push_blobs(repository, &image)?;
        self.tag(repository, tag, &image.manifest, &image.media_type)
    }

    fn push_index(&mut self, repository: &str, tag: &str) -> Result<(), Ended> {
        let index = Index::over(vec![self.image("amd64"), self.image("arm64")]);
        for image in &index.images {
            self.push_blobs(repository, image)?;
            let target = format!("/v2/{repository}/manifests/{}", image.digest());
            let put = self.client.request("PUT", &target).header("Content-Type", &image.media_type);
            created(&put.body(&image.manifest.bytes).send()?);
            self.crowd.promises.manifest(repository, image.digest());
        }
        self.tag(repository, tag, &index.manifest, media_type::OCI_INDEX)
    }

    fn tag(&self, repository: &str, tag: &str, manifest: &Blob, kind: &str) -> Result<(), Ended> {
        self.crowd.promises.begin(repository, tag, Some(&manifest.digest));
        let target = format!("/v2/{repository}/manifests/{tag}");
        let put = self.client.request("PUT", &target).header("Content-Type", kind);
        created(&put.body(&manifest.bytes).send()?);
        self.crowd.promises.done(repository, tag, Some(&manifest.digest));
        Ok(())
    }

    fn delete_tag(&self, repository: &str, tag: &str) -> Result<(), Ended> {
        self.crowd.promises.begin(repository, tag, None);
        let answer = self.client.request("DELETE", &format!("/v2/{repository}/manifests/{tag}")).send()?;
        assert!([202, 404].contains(&answer.status), "{} {}", answer.status, answer.text());
        self.crowd.promises.done(repository, tag, None);
        Ok(())
    }

    fn push_blobs(&mut self, repository: &str, image: &Image) -> Result<(), Ended> {
        for blob in image.blobs() {
            let head = self.client.request("HEAD", &format!("/v2/{repository}/blobs/{}", blob.digest)).send()?;
            if head.status != 200 {
                self.push_blob(repository, blob)?;
                self.crowd.promises.blob(repository, &blob.digest);
            }
        }
        Ok(())
    }

    fn push_blob(&mut self, repository: &str, blob: &Blob) -> Result<(), Ended> {
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        if self.random.once_in(4) {
            let from = format!("team/{}", self.random.below(3));
            let mount = with_query(&uploads, &format!("mount={}&from={from}", blob.digest));
            let answer = self.client.request("POST", &mount).body(b"").send()?;
            if answer.status == 201 {
                return Ok(());
            }
            // It is not there: a session was opened instead.
            assert_eq!(answer.status, 202, "{}", answer.text());
            let target = with_query(&location(&answer), &format!("digest={}", blob.digest));
            created(&self.client.request("PUT", &target).body(&blob.bytes).send()?);
            return Ok(());
        }
        if self.random.once_in(3) {
            let target = with_query(&uploads, &format!("digest={}", blob.digest));
            created(&self.client.request("POST", &target).body(&blob.bytes).send()?);
            return Ok(());
        }
        let opened = self.client.request("POST", &uploads).body(b"").send()?;
        assert_eq!(opened.status, 202, "{}", opened.text());
        let mut session = location(&opened);
        let mut rest: &[u8] = &blob.bytes;
        if self.random.once_in(2) {
            let patch = self.client.request("PATCH", &session).chunked(&blob.bytes, 4000).send()?;
            assert_eq!(patch.status, 202, "{}", patch.text());
            session = location(&patch);
            rest = b"";
        }
        let target = with_query(&session, &format!("digest={}", blob.digest));
        created(&self.client.request("PUT", &target).body(rest).send()?);
        Ok(())
    }
}

#[track_caller]
fn created(answer: &Response) {
    assert_eq!(answer.status, 201, "{}", answer.text());
}
