//! A registry for tests that answers what it is told to, well or badly, over plain TCP; never more HTTP than that.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{Client, Login, Settings, Url};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }
}

/// What is done to answer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// These bytes, again and again.
    Repeat(Vec<u8>, usize),
    Wait(Duration),
    /// The connection ends as it should.
    Close,
    /// The connection is torn down.
    Reset,
}

/// A whole answer; the connection stays open for the next request.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<Step> {
    let length = body.len().to_string();
    let mut all = headers.to_vec();
    all.push(("Content-Length", &length));
    vec![head(status, &all), Step::Send(body.as_bytes().to_vec())]
}

/// A head alone.
pub(crate) fn head(status: u16, headers: &[(&str, &str)]) -> Step {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    Step::Send(format!("HTTP/1.1 {status} Of Tests\r\n{headers}\r\n").into_bytes())
}

/// A body of `announced` bytes of which `body` is all that comes.
pub(crate) fn cut(announced: u64, body: &str) -> Vec<Step> {
    let length = announced.to_string();
    vec![head(200, &[("Content-Length", &length)]), Step::Send(body.as_bytes().to_vec()), Step::Close]
}

pub(crate) fn not_found() -> Vec<Step> {
    let body = r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    reply(404, &[("Content-Type", "application/json")], body)
}

/// A server on a port of its own, until it is dropped.
pub(crate) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Answers every request as `handler` says.
    pub(crate) async fn start(handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, handler) = (Arc::clone(&requests), Arc::new(handler));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                connections.spawn(async move { serve(stream, &seen, &*handler).await });
            }
        });
        Self { port, requests, _tasks: tasks }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The same server under a name that makes another origin.
    pub(crate) fn other_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Methods and paths of what was asked so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    pub(crate) fn settings(&self, login: Login) -> Settings {
        quick(&self.url("/"), login)
    }

    pub(crate) fn client(&self, login: Login) -> Client {
        Client::new(self.settings(login)).unwrap()
    }
}

/// Settings whose failures are quick.
pub(crate) fn quick(url: &str, login: Login) -> Settings {
    install_provider();
    Settings {
        login,
        connect_timeout: Duration::from_millis(400),
        silence: Duration::from_millis(400),
        attempts_over: Duration::from_millis(100),
        ..Settings::new(Url::parse(url).unwrap())
    }
}

/// What a program does that uses the client; the second call fails, and that is fine.
pub(crate) fn install_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Request>>, handler: &(dyn Fn(&Request) -> Vec<Step> + Sync)) {
    // A head and a body that are written one after the other arrive so, and not when the head was confirmed.
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        seen.lock().unwrap().push(request.clone());
        let bodiless = request.method == "HEAD";
        for (index, step) in handler(&request).into_iter().enumerate() {
            match step {
                // Whatever a client that went away missed, it did not want.
                Step::Send(_) if bodiless && index > 0 => {}
                Step::Send(bytes) => drop(stream.write_all(&bytes).await),
                Step::Repeat(bytes, times) => {
                    for _ in 0..times {
                        if stream.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                }
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Close => return,
                Step::Reset => {
                    // What was sent must arrive before the reset does, or it is lost with it.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    stream.set_zero_linger().unwrap();
                    return;
                }
            }
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
    let mut lines = text.trim_end().split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut request = Request { method, path, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    request.body = String::from_utf8(buffer.drain(..length).collect()).unwrap();
    Some(request)
}
