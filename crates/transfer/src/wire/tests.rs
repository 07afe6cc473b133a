//! Tests of what a registry that answers oddly is as an origin, over plain TCP; never of what is done about it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcr_client::{Login, Settings, Url};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

/// A status, headers, a body.
type Reply = (u16, String, String);

/// A registry that answers paths as it is told, until it is dropped.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    most: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Server {
    async fn start(handler: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, most, now): (Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let (seen, highest, handler) = (Arc::clone(&asked), Arc::clone(&most), Arc::new(handler));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, highest, now) = (Arc::clone(&seen), Arc::clone(&highest), Arc::clone(&now));
                let handler = Arc::clone(&handler);
                connections.spawn(async move {
                    while let Some(path) = request(&mut stream).await {
                        highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        seen.lock().unwrap().push(path.clone());
                        let (status, headers, body) = handler(&path);
                        now.fetch_sub(1, Ordering::SeqCst);
                        let length = body.len();
                        let head = format!("HTTP/1.1 {status} Of Tests\r\nContent-Length: {length}\r\n{headers}\r\n");
                        if stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, asked, most, tasks }
    }

    fn origin(&self, repositories: &[&str], jobs: usize) -> RegistryOrigin {
        // What a program does that uses the client; the second call fails, and that is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let url = Url::parse(&format!("http://127.0.0.1:{}/", self.port)).unwrap();
        let settings = Settings {
            login: Login::Anonymous,
            connect_timeout: Duration::from_millis(400),
            attempts_over: Duration::from_millis(50),
            ..Settings::new(url)
        };
        let names: Vec<String> = repositories.iter().map(|name| (*name).to_owned()).collect();
        RegistryOrigin::new(Client::new(settings).unwrap(), &names, None, jobs)
    }

    fn asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| path.contains(what)).count()
    }
}

async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).unwrap().split(' ').nth(1).map(str::to_owned)
}

fn ok(body: impl Into<String>) -> Reply {
    (200, String::new(), body.into())
}

fn place(name: &str) -> Place {
    Place { here: RepositoryName::parse(name).unwrap(), there: name.to_owned(), registry: 0 }
}

fn subjects(count: usize) -> Vec<Digest> {
    (0..count).map(|number| Digest::sha256(number.to_string().as_bytes())).collect()
}

fn list(digests: &[Digest]) -> String {
    let manifests: Vec<_> = digests.iter().map(|digest| serde_json::json!({"digest": digest.as_str()})).collect();
    serde_json::json!({"schemaVersion": 2, "manifests": manifests}).to_string()
}

fn details(findings: &[Finding]) -> String {
    findings.iter().filter_map(|finding| finding.detail.as_deref()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_page_of_referrers_counts() {
    let (asked, all) = (subjects(2), subjects(700));
    let (first, second) = (list(&all[..500]), list(&all[500..]));
    let server = Server::start(move |path| match path.split_once('?') {
        Some(_) => ok(second.clone()),
        None => (200, "Link: <?last=x>; rel=\"next\"\r\n".to_owned(), first.clone()),
    });
    let server = server.await;
    let found = server.origin(&[], 4).loose(&place("a/b"), &asked[..1]).await.unwrap();
    assert_eq!((found.loose.len(), found.findings), (700, Vec::new()));
    assert!(found.loose.iter().all(|loose| loose.subject.as_ref() == Some(&asked[0])));
}

#[tokio::test]
async fn a_refused_question_is_a_finding_and_ends_nothing() {
    let answers: [(u16, &str, &str); 4] =
        [(401, "", "401"), (403, "{}", "403"), (500, "", "500"), (200, "<html>", "not a list of referrers")];
    for (status, body, told) in answers {
        let server = Server::start(move |path| match path {
            "/v2/" => ok("{}"),
            path if path.contains("/closed/") => (status, String::new(), body.to_owned()),
            _ => ok(list(&subjects(1))),
        });
        let server = server.await;
        let origin = server.origin(&[], 2);
        let closed = origin.loose(&place("closed/a"), &subjects(40)).await.unwrap();
        assert!(closed.loose.is_empty());
        assert!(closed.findings.len() <= 17 && details(&closed.findings).contains(told), "{:?}", closed.findings);
        assert!(details(&closed.findings).contains("more manifests were not asked about"), "{:?}", closed.findings);
        assert_eq!(closed.findings[0].kind, FindingKind::Unreachable);
        assert!(server.asked("/closed/") < 200, "{}", server.asked("/closed/"));
        let open = origin.loose(&place("open/a"), &subjects(3)).await.unwrap();
        assert_eq!((open.loose.len(), open.findings.len()), (3, 0));
    }
}

#[tokio::test]
async fn a_registry_without_the_question_is_asked_a_few_times_in_each_repository() {
    let server = Server::start(|_| (404, String::new(), "404 page not found\n".to_owned())).await;
    let origin = server.origin(&[], 4);
    for _ in 0..2 {
        let found = origin.loose(&place("a"), &subjects(100)).await.unwrap();
        assert_eq!((found.loose.len(), found.findings.len()), (0, 0));
    }
    assert_eq!(server.asked("/v2/a/"), 8);
    let _ = origin.loose(&place("b"), &subjects(100)).await.unwrap();
    assert_eq!(server.asked("/v2/b/"), 8);
}

#[tokio::test]
async fn one_404_says_nothing_of_the_others() {
    let odd = subjects(1).remove(0).to_string();
    let server = Server::start(move |path| match path.ends_with(&odd) || path.starts_with("/v2/old/") {
        true => (404, String::new(), String::new()),
        false => ok(list(&subjects(1))),
    });
    let server = server.await;
    let origin = server.origin(&[], 4);
    // One repository without it says nothing of another one either.
    assert_eq!(origin.loose(&place("old"), &subjects(20)).await.unwrap().loose.len(), 0);
    let found = origin.loose(&place("new"), &subjects(20)).await.unwrap();
    assert_eq!(found.loose.len(), 19);
    assert_eq!(found.findings.len(), 1, "{:?}", found.findings);
    assert!(details(&found.findings).contains("does not exist"), "{:?}", found.findings);
}

#[tokio::test]
async fn a_list_of_tags_that_is_none_is_its_repository_s_trouble_alone() {
    let long = "x".repeat(1_100);
    let server = Server::start(move |path| match path.split('?').next().unwrap() {
        "/v2/" => ok("{}"),
        "/v2/long/tags/list" => ok(format!(r#"{{"name":"long","tags":["{long}"]}}"#)),
        "/v2/circle/tags/list" => {
            (200, "Link: </v2/circle/tags/list?n=1000>; rel=next\r\n".to_owned(), r#"{"tags":["a"]}"#.to_owned())
        }
        "/v2/page/tags/list" => ok("<html>"),
        "/v2/empty/tags/list" => ok(r#"{"name":"empty","tags":null}"#),
        _ => (404, String::new(), String::new()),
    });
    let mut server = server.await;
    let origin = server.origin(&[], 4);
    for name in ["long", "circle", "page"] {
        let tags = origin.tags(&place(name)).await.unwrap();
        assert!(tags.findings.iter().any(|finding| finding.tag.is_none()), "{name}: {tags:?}");
        assert!(details(&tags.findings).contains("its tags cannot be listed"), "{name}: {tags:?}");
    }
    assert!(origin.tags(&place("empty")).await.unwrap().findings.is_empty());
    server.tasks.shutdown().await;
    assert!(origin.tags(&place("page")).await.is_err(), "nobody answers any more");
}

#[tokio::test]
async fn a_repository_that_was_named_and_is_none_is_told() {
    let server = Server::start(|_| (404, String::new(), String::new())).await;
    assert!(server.origin(&["no/such"], 2).tags(&place("no/such")).await.unwrap().absent);
    assert!(!server.origin(&[], 2).tags(&place("no/such")).await.unwrap().absent, "it is listed, and without tags");
}

#[tokio::test]
async fn no_more_is_asked_at_once_than_there_are_jobs() {
    let server = Server::start(|path| match path.contains("tags/list") {
        true => ok(r#"{"tags":["a","b","c","d","e","f","g","h"]}"#),
        false => (404, String::new(), String::new()),
    });
    let server = server.await;
    let origin = server.origin(&[], 3);
    let names: Vec<Place> = ["a", "b", "c", "d", "e", "f"].map(place).to_vec();
    let (subjects, origin) = (&subjects(12), &origin);
    let look = |place: Place| async move {
        let tags = origin.tags(&place).await.unwrap();
        let _ = origin.loose(&place, subjects).await.unwrap();
        tags.findings.len()
    };
    let found: Vec<usize> = stream::iter(names).map(look).buffer_unordered(8).collect().await;
    assert_eq!(found, [8; 6]);
    assert!(server.most.load(Ordering::SeqCst) <= 3, "{:?}", server.most);
}
