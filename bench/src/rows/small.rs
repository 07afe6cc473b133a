//! Push of many small images by 16 clients at once, each on its own connection.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use crate::{
    content::{Image, Random},
    error::Error,
    http::Connection,
    interrupt, push,
    servers::Server,
};

/// Clients, and repositories.
pub(super) const CLIENTS: usize = 16;
/// Seeds of different rows lie far apart, so that no blob occurs in two.
const SEED: u64 = 3 << 40;

/// An image and where it goes.
pub(crate) struct Tagged {
    repository: String,
    tag: String,
    image: Image,
}

impl Tagged {
    /// `image` for this place.
    pub(super) fn new(repository: String, tag: String, image: Image) -> Tagged {
        Tagged { repository, tag, image }
    }

    /// The image.
    pub(super) fn image(&self) -> &Image {
        &self.image
    }
}

/// The images of round `number`: a config of 1 KiB and two layers of 4 to 64 KiB, none seen before.
pub(crate) fn round(number: u64, count: usize) -> Vec<Tagged> {
    let mut random = Random::new(SEED + number);
    (0..count)
        .map(|position| {
            let image = Image::random(&mut random, 2, 4 << 10, 64 << 10);
            let repository = format!("bench/small-{:02}", position % CLIENTS);
            Tagged::new(repository, format!("r{number}-{position}"), image)
        })
        .collect()
}

/// Pushes them; in images per second.
pub(crate) fn sample(server: &Server, images: &[Tagged]) -> Result<f64, Error> {
    let seconds = push_all(server, images)?;
    Ok(images.len() as f64 / seconds)
}

/// Pushes images from all clients at once; the seconds from the first request to the last answer.
pub(super) fn push_all(server: &Server, images: &[Tagged]) -> Result<f64, Error> {
    let connections = (0..CLIENTS).map(|_| server.connect()).collect::<Result<Vec<_>, _>>()?;
    let start = Barrier::new(CLIENTS + 1);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let clients: Vec<_> = connections
            .into_iter()
            .map(|connection| scope.spawn(|| client(connection, images, &start, &next)))
            .collect();
        start.wait();
        let started = Instant::now();
        for client in clients {
            client.join().unwrap_or(Err(Error::Interrupted))?;
        }
        Ok(started.elapsed().as_secs_f64())
    })
}

/// One client: the next image nobody has taken, until none is left.
fn client(mut connection: Connection, images: &[Tagged], start: &Barrier, next: &AtomicUsize) -> Result<(), Error> {
    start.wait();
    while let Some(to) = images.get(next.fetch_add(1, Ordering::Relaxed)) {
        interrupt::check()?;
        push::image(&mut connection, &to.repository, &to.tag, &to.image)?;
    }
    Ok(())
}
