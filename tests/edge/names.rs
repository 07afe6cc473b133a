//! The name a client came by is the name it is sent to (incidents 15 and 18).

use mcr_tests::accounts::{Mode, Registry, Setup};

use crate::scene::{behind, check, realm, send};

const PUBLIC: &str = "external_url = [\"https://reg.example\", \"https://reg.internal:8443\"]";

#[test]
fn nobody_is_sent_to_another_name_than_the_one_it_came_by() {
    let registry = Registry::with(Mode::Htpasswd, &Setup::default().set("server", PUBLIC));
    let client = registry.nobody();
    for (host, expected) in [
        ("reg.example", "https://reg.example/v2/token"),
        ("reg.example:443", "https://reg.example/v2/token"),
        ("REG.internal:8443", "https://reg.internal:8443/v2/token"),
        ("reg.internal", "https://reg.internal/v2/token"),
        ("10.1.2.3:5000", "https://10.1.2.3:5000/v2/token"),
        ("[fd00::1]:5000", "https://[fd00::1]:5000/v2/token"),
    ] {
        assert_eq!(realm(check(&client, &[("Host", host)])), expected, "{host}");
    }
    // Only who names nothing gets the first.
    let old = send(&client, b"GET /v2/ HTTP/1.0\r\n\r\n");
    assert_eq!(realm(old), "https://reg.example/v2/token");
    let whole = send(
        &client,
        b"GET https://other.example:1/v2/ HTTP/1.1\r\nHost: other.example:1\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(realm(whole), "https://other.example:1/v2/token");
}

#[test]
fn a_name_that_is_none_goes_into_no_answer() {
    let registry = behind(&[PUBLIC]);
    let client = registry.nobody();
    let long = "a".repeat(300);
    for host in ["a b", "a\"b", "a/b", "u@a", "a:99999", "a,b", "a:1:2", "a\\", "\"", "a\tb", &long] {
        let answer = check(&client, &[("Host", host)]).expect("an answer");
        assert_eq!(answer.status, 400, "{host}: {answer:?}");
        assert!(answer.header("www-authenticate").is_none(), "{host}");
    }
    let two = check(&client, &[("Host", "a"), ("Host", "b")]).expect("an answer");
    assert_eq!(two.status, 400);
    let torn = send(&client, b"GET http://a/v2/ HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n").expect("an answer");
    assert_eq!(torn.status, 400);
}

#[test]
fn a_strangers_word_on_names_is_not_taken() {
    let registry = behind(&["trusted_proxies = [\"192.0.2.0/24\"]"]);
    let said = [
        ("Host", "reg.internal:5000"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", "host=evil.example;proto=http"),
    ];
    assert_eq!(realm(check(&registry.nobody(), &said)), "https://reg.internal:5000/v2/token");
    let registry = behind(&["trusted_proxies = [\"127.0.0.1\"]"]);
    let client = registry.nobody();
    assert_eq!(realm(check(&client, &said)), "http://evil.example/v2/token", "a trusted proxy's is");
    let port = [("Host", "127.0.0.1"), ("X-Forwarded-Host", "reg.example:8443"), ("X-Forwarded-Proto", "https")];
    assert_eq!(realm(check(&client, &port)), "https://reg.example:8443/v2/token");
}

#[test]
fn names_are_taken_over_while_it_runs() {
    let registry = behind(&["external_url = \"https://old.example\""]);
    let client = registry.nobody();
    let unnamed = || realm(send(&client, b"GET /v2/ HTTP/1.0\r\n\r\n"));
    assert_eq!(unnamed(), "https://old.example/v2/token");
    let file = registry.home().join("mcr.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("old.example", "new.example");
    std::fs::write(&file, text).unwrap();
    registry.server().signal("HUP");
    let began = std::time::Instant::now();
    while unnamed() != "https://new.example/v2/token" {
        assert!(began.elapsed().as_secs() < 20, "{}", registry.server().log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[tokio::test]
async fn http_2_names_it_in_its_own_way() {
    let registry = Registry::start(Mode::Htpasswd);
    mcr_tests::tls::install_provider();
    let pem = std::fs::read(registry.trust().join("ca.crt")).unwrap();
    let builder = reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()]);
    let address = registry.server().client().address();
    let client = builder.resolve("registry.test", address).build().unwrap();
    let url = format!("https://registry.test:{}", address.port());
    let answer = client.get(format!("{url}/v2/")).send().await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 401));
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with(&format!("Bearer realm=\"{url}/v2/token\"")), "{challenge}");
}
