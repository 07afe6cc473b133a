//! Tests of questions to the API, against a server of a few lines: pages, refusals, patience.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use mcr_client::{Login, Settings};
use serde_json::json;

use super::*;
use crate::failure::Outcome;

type Handler = fn(&str) -> (u16, String);

/// A server that answers each request line as `handler` says, for as long as the test runs.
fn serve(handler: Handler) -> (Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let mut length = 0;
            loop {
                let mut header = String::new();
                if reader.read_line(&mut header).unwrap() == 0 || header == "\r\n" {
                    break;
                }
                if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let target = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
            let (status, answer) = handler(&target);
            seen.lock().unwrap().push(target);
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            let _ = reader.get_mut().write_all(format!("{head}{answer}").as_bytes());
        }
    });
    (url, asked)
}

fn api(url: &Url, login: Login) -> Api {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let settings = Settings { login, attempts_over: Duration::from_millis(50), ..Settings::new(url.clone()) };
    Api::over(Client::new(settings).unwrap(), url.clone(), Duration::from_secs(5), false).unwrap()
}

fn known() -> Login {
    Login::Basic { username: "ada".to_owned(), password: "sesame".to_owned() }
}

#[test]
fn lists_are_whole() {
    let (url, asked) = serve(|target| match target.split_once("last=").map(|(_, last)| last) {
        None => (200, json!({"x": 1, "names": ["a", "b"], "next": "b c"}).to_string()),
        Some("b%20c") => (200, json!({"x": 2, "names": [], "next": "d"}).to_string()),
        Some(_) => (200, json!({"x": 3, "names": ["e"], "next": null}).to_string()),
    });
    let api = api(&url, Login::Anonymous);
    let whole = api.list("/v1/names", &[("filter", "a/**".to_owned())], &["names"], None).unwrap();
    assert_eq!(whole, json!({"x": 1, "names": ["a", "b", "e"], "next": null}));
    assert_eq!(asked.lock().unwrap()[1], "GET /v1/names?filter=a/%2A%2A&n=1000&last=b%20c");
    let short = api.list("/v1/names", &[], &["names"], Some(2)).unwrap();
    assert_eq!(short, json!({"x": 1, "names": ["a", "b"], "next": "b c"}));
    assert_eq!(asked.lock().unwrap().last().unwrap(), "GET /v1/names?n=2");
}

#[test]
fn a_list_without_an_end_is_not_believed() {
    let (url, _) = serve(|_| (200, json!({"names": ["a"], "next": "a"}).to_string()));
    let failure = api(&url, Login::Anonymous).list("/v1/names", &[], &["names"], None).unwrap_err();
    assert!(matches!(&failure, Failure::Undetermined(text) if text.contains("without an end")), "{failure}");
}

#[test]
fn refusals_of_questions_and_of_changes_have_their_exit_codes() {
    let (url, _) = serve(|target| {
        let status: u16 = target.rsplit('/').next().unwrap().parse().unwrap();
        (status, json!({"error": "as it is"}).to_string())
    });
    let api = api(&url, known());
    for (status, of_get, of_delete) in [
        (401, Outcome::Undetermined, Outcome::Bad),
        (403, Outcome::Undetermined, Outcome::Bad),
        (404, Outcome::Bad, Outcome::Bad),
        (400, Outcome::WrongUsage, Outcome::Bad),
        (405, Outcome::Bad, Outcome::Bad),
        (409, Outcome::Bad, Outcome::Bad),
        (500, Outcome::Undetermined, Outcome::Undetermined),
    ] {
        let get = api.get(format!("/v1/{status}")).unwrap_err();
        let delete = api.ask(&Call::delete(format!("/v1/{status}"))).unwrap_err();
        assert_eq!((get.outcome(), delete.outcome()), (of_get, of_delete), "{status}: {get}; {delete}");
        assert!(get.to_string().contains("as it is"), "{get}");
    }
}

#[test]
fn a_refused_login_says_what_to_do() {
    let (url, _) = serve(|_| (401, json!({"error": "log in"}).to_string()));
    let host = url.as_str().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let nobody = api(&url, Login::Anonymous).get("/v1/x").unwrap_err().to_string();
    assert!(nobody.contains(&format!("log in first: mcrctl login {host}")), "{nobody}");
    let wrong = api(&url, known()).get("/v1/x").unwrap_err().to_string();
    assert!(wrong.contains(&format!("wrong or has ended: mcrctl login {host}")), "{wrong}");
    assert!(!wrong.contains("sesame"), "{wrong}");
}

#[test]
fn what_is_no_such_registry_is_undetermined() {
    let (url, _) = serve(|target| match target {
        "GET /v1/page" => (200, "<html>".to_owned()),
        "GET /v1/plain" => (404, "404 page not found".to_owned()),
        _ => (404, json!({"errors": [{"code": "NAME_UNKNOWN", "message": "no"}]}).to_string()),
    });
    let api = api(&url, Login::Anonymous);
    for path in ["/v1/page", "/v1/plain", "/v1/x"] {
        let failure = api.get(path).unwrap_err();
        assert!(matches!(&failure, Failure::Undetermined(text) if text.contains("older")), "{path}: {failure}");
    }
}

#[test]
fn nothing_and_documents_are_answers() {
    let (url, _) =
        serve(|target| if target.starts_with("DELETE") { (204, String::new()) } else { (200, "[1]".to_owned()) });
    let api = api(&url, Login::Anonymous);
    assert_eq!(api.ask(&Call::delete("/v1/x")).unwrap(), Value::Null);
    assert_eq!(api.get("/v1/x").unwrap(), json!([1]));
}

#[test]
fn streams_hand_on_what_comes_and_tell_refusals() {
    let (url, _) = serve(|target| match target {
        "GET /v1/all" => (200, "a\nb\n".to_owned()),
        _ => (403, json!({"error": "not for you"}).to_string()),
    });
    let api = api(&url, known());
    let mut got = Vec::new();
    api.stream("/v1/all", &mut |piece| {
        got.extend_from_slice(piece);
        Ok(())
    })
    .unwrap();
    assert_eq!(got, b"a\nb\n");
    let failure = api.stream("/v1/other", &mut |_| panic!("no piece of a refusal")).unwrap_err();
    assert!(matches!(&failure, Failure::Undetermined(text) if text.contains("not for you")), "{failure}");
}
