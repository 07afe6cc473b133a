//! Behind real proxies, as the examples of `deploy/` set them up: names and ports survive, bodies of any size pass
//! unbuffered, and a limit on wrong passwords meets the client instead of the proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mcr_tests::accounts::{ADMIN, Mode, OTHER, Registry, Setup, USER};
use mcr_tests::nginx::Nginx;
use mcr_tests::traefik::Traefik;
use mcr_tests::{Blob, Client, Image, Random, clock, pull, push};

use crate::programs::{Place, Program, Skopeo};

/// A body that every default limit of a proxy refuses, and every buffer of one writes to its disk.
const LARGE: usize = 24 << 20;

/// A client on an address of its own: all of 127.0.0.0/8 is this machine.
fn on(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

/// A registry that believes a proxy on 127.0.0.1 and ends no TLS itself.
fn behind(more: impl FnOnce(Setup) -> Setup) -> Registry {
    let setup = Setup::default().behind_tls_proxy().set("server", "trusted_proxies = [\"127.0.0.1/32\"]");
    Registry::with(Mode::Htpasswd, &more(setup))
}

fn upstream(registry: &Registry) -> SocketAddr {
    registry.server().client().address()
}

/// A client of the proxy at `address`.
fn through(registry: &Registry, address: SocketAddr) -> Client {
    Client::new(address, Some(registry.tls()))
}

fn admin_of(registry: &Registry, client: &Client) -> Client {
    client.with_basic(ADMIN, &registry.password(ADMIN))
}

/// What must hold behind every proxy that ends TLS.
fn holds(registry: &Registry, address: SocketAddr) {
    let client = through(registry, address);
    // Incident 15: realm and Location name the port the client came by.
    let challenge = client.get("/v2/").expect_error(401, "UNAUTHORIZED");
    let wanted = format!("realm=\"https://{address}/v2/token\"");
    assert!(challenge.required("www-authenticate").contains(&wanted), "{challenge:?}");
    let admin = admin_of(registry, &client);
    let opened = admin.post("/v2/app/blobs/uploads/").expect(202);
    let location = opened.required("location");
    let own = format!("https://{address}/");
    assert!(location.starts_with('/') || location.starts_with(&own), "{location}");
    let _ = admin.delete(&push::location(&opened)).expect(204);
    // Large bodies, in both forms, there and back.
    let mut random = Random::new(501);
    let image = Image::over("amd64", vec![Blob::random(&mut random, LARGE), Blob::random(&mut random, 100)]);
    let _ = push::blob_streamed(&admin, "app", &image.layers[0]);
    push::image(&admin, "app", "v1", &image);
    let _ = pull::assert_whole(&admin, "app", "v1");
    // A program, which follows challenge, realm and Location by itself.
    let place = Place { authority: address.to_string(), trust: registry.trust() };
    let skopeo = Skopeo::new(&place);
    let _ = skopeo.log_in(ADMIN, &registry.password(ADMIN)).ok();
    let _ = skopeo.push("real/busybox").ok();
    let _ = skopeo.pull("real/busybox").ok();
    throttles_clients(registry, &client);
    registry.assert_nothing_secret_logged();
}

/// Somebody tries passwords; everybody else comes by the same proxy and does not notice.
fn throttles_clients(registry: &Registry, client: &Client) {
    let [guesser, neighbour, farther] = [on(5), on(6), on(7)];
    let guess = |number: usize| {
        let guessing = client.from(guesser).with_basic(USER, &format!("wrong-guess-{number}"));
        guessing.get("/v2/").status
    };
    let answers: Vec<u16> = (0..30).map(guess).collect();
    assert_eq!(answers[0], 401, "{answers:?}");
    assert_eq!(answers.last(), Some(&429), "{answers:?}");
    let refused = client.from(guesser).with_basic(USER, "wrong-guess-last").get("/v2/").expect(429);
    assert!(refused.required("retry-after").parse::<u32>().unwrap() >= 1);
    for (source, name) in [(neighbour, OTHER), (farther, USER)] {
        let other = client.from(source).with_basic(name, &registry.password(name));
        let _ = other.get("/v2/").expect(200);
    }
    clock::wait_until("the guesses are written", || !registry.events("login_failed").is_empty());
    let events = registry.events("login_failed");
    let seen = |address: IpAddr| events.iter().any(|event| event["address"] == address.to_string());
    assert!(seen(guesser), "the audit names the client, not the proxy: {events:?}");
    assert!(!seen(on(1)), "nothing is laid to the proxy: {events:?}");
}

#[test]
fn nginx_ends_tls() {
    let registry = behind(|setup| setup);
    let nginx = Nginx::ending_tls(upstream(&registry), &registry.home().join("tls"), |text| text);
    holds(&registry, nginx.address());
    assert!(nginx.buffered().is_empty(), "{:?}", nginx.buffered());
}

#[test]
fn what_the_nginx_example_avoids_happens_without_it() {
    // So that the test above is known to be able to fail.
    let registry = behind(|setup| setup);
    let certificates = registry.home().join("tls");
    let blob = Blob::random(&mut Random::new(502), LARGE);
    let limited =
        Nginx::ending_tls(upstream(&registry), &certificates, |text| text.replace("client_max_body_size 0;", ""));
    let admin = admin_of(&registry, &through(&registry, limited.address()));
    let refused = push::try_blob(&admin, "app", &blob);
    assert!(refused.is_err() || refused.as_ref().is_ok_and(|answer| answer.status == 413), "{refused:?}");
    let buffering =
        Nginx::ending_tls(upstream(&registry), &certificates, |text| text.replace("proxy_request_buffering off;", ""));
    let admin = admin_of(&registry, &through(&registry, buffering.address()));
    push::blob(&admin, "app", &blob);
    assert!(!buffering.buffered().is_empty(), "a buffered body is seen");
    // The incident as it was: the port is lost in the realm, and pushes go on where Location is relative.
    let portless = Nginx::ending_tls(upstream(&registry), &certificates, |text| text.replace("$http_host", "$host"));
    let client = through(&registry, portless.address());
    let challenge = client.get("/v2/").expect(401);
    assert!(challenge.required("www-authenticate").contains("realm=\"https://127.0.0.1/v2/token\""), "{challenge:?}");
    let admin = admin_of(&registry, &client);
    assert!(admin.post("/v2/app/blobs/uploads/").expect(202).required("location").starts_with('/'));
}

#[test]
fn nginx_passes_tls_through_and_says_who_the_client_is() {
    let setup = Setup::default();
    let setup = setup.set("server", "trusted_proxies = [\"127.0.0.1/32\"]\nproxy_protocol = \"required\"");
    let registry = Registry::with(Mode::Htpasswd, &setup);
    let nginx = Nginx::passing_tls(upstream(&registry));
    holds(&registry, nginx.address());
}

#[test]
fn traefik_ends_tls() {
    let registry = behind(|setup| setup);
    let Some(traefik) = Traefik::start(upstream(&registry), &registry.home().join("tls"), registry.tls()) else {
        return;
    };
    holds(&registry, traefik.address());
}

#[test]
fn a_client_is_never_sent_to_another_name_than_the_one_it_came_by() {
    // Incident 18: the public name was not to be reached from inside.
    let setup = Setup::default();
    let setup = setup.set("server", "external_url = [\"https://public.example\", \"https://registry.test:5443\"]");
    let registry = Registry::with(Mode::Htpasswd, &setup);
    let _ = registry.open_to_all("open/**");
    push::image(&registry.admin(), "open/app", "v1", &Image::random(&mut Random::new(503), 1, 1000));
    let own = registry.authority();
    let realm_for = |client: &Client, host: &str| {
        let challenge = client.request("GET", "/v2/").header("Host", host).call().expect(401);
        let header = challenge.required("www-authenticate").to_owned();
        let (_, rest) = header.split_once("realm=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let nobody = registry.nobody();
    for (host, realm) in [
        (own.as_str(), format!("https://{own}/v2/token")),
        ("internal.test:8443", "https://internal.test:8443/v2/token".to_owned()),
        ("registry.test:5443", "https://registry.test:5443/v2/token".to_owned()),
        ("registry.test", "https://registry.test/v2/token".to_owned()),
        ("public.example", "https://public.example/v2/token".to_owned()),
        ("PUBLIC.example:443", "https://public.example/v2/token".to_owned()),
    ] {
        assert_eq!(realm_for(&nobody, host), realm, "{host}");
    }
    // A pull by the internal name, with a program: it asks nobody but whom it was pointed at.
    let place = Place { authority: own, trust: registry.trust() };
    let skopeo = Skopeo::new(&place);
    let _ = skopeo.log_in(ADMIN, &registry.password(ADMIN)).ok();
    let _ = skopeo.push("open/real").ok();
    skopeo.log_out();
    let _ = skopeo.pull("open/real").ok();
}

#[test]
fn what_a_stranger_says_of_whom_it_speaks_for_is_not_believed() {
    let trusting = Setup::default().set("server", "trusted_proxies = [\"127.0.0.9/32\"]");
    let registry = Registry::with(Mode::Htpasswd, &trusting);
    let own = registry.authority();
    let ask = |source: IpAddr| {
        let client = registry.nobody().from(source).with_basic(USER, "wrong-password");
        let ask = client.request("GET", "/v2/").header("X-Forwarded-For", "192.0.2.77");
        let ask = ask.header("X-Forwarded-Host", "evil.example").header("X-Forwarded-Proto", "http");
        let ask = ask.header("X-Real-IP", "192.0.2.78").header("Forwarded", "for=192.0.2.79;host=evil.example");
        ask.call().expect(401).required("www-authenticate").to_owned()
    };
    let [stranger, proxy] = [ask(on(8)), ask(on(9))];
    assert!(stranger.contains(&format!("realm=\"https://{own}/v2/token\"")), "{stranger}");
    assert!(proxy.contains("realm=\"http://evil.example/v2/token\""), "a trusted one is believed: {proxy}");
    // A failed login is written beside its answer, not before it.
    clock::wait_until("both are written", || registry.events("login_failed").len() >= 2);
    let events = registry.events("login_failed");
    let addresses: Vec<&str> = events.iter().filter_map(|event| event["address"].as_str()).collect();
    assert_eq!(addresses, ["127.0.0.8", "192.0.2.77"], "{events:?}");
}
