//! The listener as `--dev` has it without further flags: TLS, HTTP/2, and the admin's password.

use mcr_tests::{Client, Image, Options, Random, Server, pull, push, tls};

#[test]
fn everything_works_over_tls_with_the_printed_password() {
    let server = Server::with(Options::secured());
    let client = server.client();
    let image = Image::random(&mut Random::new(131), 2, 100_000);
    push::image(&client, "a", "v1", &image);
    let _ = pull::assert_whole(&client, "a", "v1");
    assert!(server.url().starts_with("https://"), "{}", server.url());
}

#[test]
fn without_the_password_everything_but_health_is_401() {
    let server = Server::with(Options::secured());
    let client = server.client();
    let image = Image::random(&mut Random::new(132), 1, 100);
    push::image(&client, "a", "v1", &image);
    let stranger = Client::new(client.address(), Some(tls::trusting(&server.certificate())));
    let wrong = client.with_basic("admin", "wrong");
    let nobody = client.with_basic("nobody", server.password());
    // Who guesses is slowed down soon, who sends nothing never.
    for (client, tries) in [(&stranger, 8), (&wrong, 2), (&nobody, 2)] {
        let requests = [
            ("GET", "/v2/".to_owned()),
            ("GET", "/v2/_catalog".to_owned()),
            ("GET", "/v2/a/tags/list".to_owned()),
            ("GET", "/v2/a/manifests/v1".to_owned()),
            ("GET", format!("/v2/a/blobs/{}", image.config.digest)),
            ("POST", "/v2/a/blobs/uploads/".to_owned()),
            ("PUT", "/v2/a/manifests/v2".to_owned()),
            ("DELETE", "/v2/a/manifests/v1".to_owned()),
        ];
        for (method, target) in requests.into_iter().take(tries) {
            let answer = client.request(method, &target).body(b"").call();
            let answer = answer.expect_error(401, "UNAUTHORIZED");
            let challenge = answer.required("www-authenticate");
            let realm = format!("Bearer realm=\"{}/v2/token\",service=\"mcr\"", server.url());
            assert!(challenge.starts_with(&realm), "{challenge}");
        }
        for health in ["/healthz", "/readyz", "/v1/health"] {
            let _ = client.get(health).expect(200);
        }
    }
    let _ = pull::assert_whole(&client, "a", "v1");
}

#[test]
fn the_password_stays_over_restarts_and_is_shown_once() {
    let mut server = Server::with(Options::secured());
    let password = server.password().to_owned();
    assert!(server.output().contains(&password));
    let certificate = std::fs::read(server.certificate()).unwrap();
    let _ = server.stop();
    server.restart();
    assert!(!server.output().contains(&password));
    assert!(!server.log().contains(&password));
    let _ = server.client().get("/v2/").expect(200);
    assert_eq!(std::fs::read(server.certificate()).unwrap(), certificate);
    let _ = server.stop();
    server.options().arguments.push("--reset-password".to_owned());
    server.restart();
    assert_ne!(server.password(), password);
    let _ = server.client().get("/v2/").expect(200);
    let old = server.client().with_basic("admin", &password);
    let _ = old.get("/v2/").expect(401);
}

#[test]
fn only_tls_1_3_is_spoken() {
    let server = Server::with(Options::secured());
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&server));
    for (version, works) in [(&rustls::version::TLS12, false), (&rustls::version::TLS13, true)] {
        let builder = rustls::ClientConfig::builder_with_protocol_versions(&[version]);
        let config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
        let client = Client::new(server.client().address(), Some(std::sync::Arc::new(config)));
        let outcome = client.request("GET", "/healthz").send();
        assert_eq!(outcome.is_ok(), works, "{version:?}: {outcome:?}");
    }
}

fn certificates(server: &Server) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    tls::install_provider();
    let certificates = rustls::pki_types::CertificateDer::pem_file_iter(server.certificate()).unwrap();
    certificates.map(Result::unwrap).collect()
}

/// A client library that speaks HTTP/2 where it is offered.
fn http2(server: &Server, only: bool) -> reqwest::Client {
    tls::install_provider();
    let pem = std::fs::read(server.certificate()).unwrap();
    let builder = reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()]);
    let builder = if only { builder.http2_prior_knowledge() } else { builder };
    builder.build().unwrap()
}

#[tokio::test]
async fn http_2_pushes_and_pulls() {
    let server = Server::with(Options::secured());
    let client = http2(&server, false);
    let (url, password) = (server.url(), server.password().to_owned());
    let image = Image::random(&mut Random::new(133), 3, 3_000_000);
    for blob in image.blobs() {
        let post = client.post(format!("{url}/v2/h2/blobs/uploads/?digest={}", blob.digest));
        let answer = post.basic_auth("admin", Some(&password)).body(blob.bytes.clone()).send().await.unwrap();
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        assert_eq!(answer.status(), 201);
    }
    let put = client.put(format!("{url}/v2/h2/manifests/v1")).header("Content-Type", &image.media_type);
    let put = put.basic_auth("admin", Some(&password)).body(image.manifest.bytes.clone());
    assert_eq!(put.send().await.unwrap().status(), 201);
    let gets = image.blobs().map(|blob| {
        let get = client.get(format!("{url}/v2/h2/blobs/{}", blob.digest)).basic_auth("admin", Some(&password));
        async move {
            let answer = get.send().await.unwrap();
            assert_eq!(answer.version(), reqwest::Version::HTTP_2);
            assert!(answer.bytes().await.unwrap() == blob.bytes);
        }
    });
    for get in gets {
        get.await;
    }
    let _ = pull::assert_whole(&server.client(), "h2", "v1");
}

#[test]
fn the_open_flags_are_refused_on_an_address_that_is_not_loopback() {
    for flag in ["--plain-http", "--anonymous"] {
        let home = tempfile::tempdir().unwrap();
        let mut command = mcr_tests::server::mcrsrv();
        command.args(["server", "--dev", flag, "--listen", "0.0.0.0:0", "--data"]).arg(home.path());
        let output = mcr_tests::process::run(&mut command).failed();
        assert!(output.stderr.contains("loopback"), "{output:?}");
    }
}
