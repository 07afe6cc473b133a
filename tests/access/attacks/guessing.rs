//! Guessing passwords: ten thousand times, from one address and from many, and by the clock.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use mcr_tests::accounts::{ADMIN, Mode, OTHER, Registry, Setup, USER};
use mcr_tests::{Client, memory, process, tools};

/// Guesses of one run.
const GUESSES: usize = 10_000;
/// Threads that guess.
const THREADS: usize = 4;
/// How much more memory, in KiB, a server may have after that: its tables are bounded.
const GROWTH: u64 = 96 << 10;
/// How long it may take on a small machine: each guess costs a connection's share, not a hash.
const TIME: Duration = Duration::from_secs(150);
/// Samples of each kind where times are compared.
const SAMPLES: usize = 17;

/// What one guess after the other is answered; never 200.
fn guess_all(client: &Client, guess: impl Fn(usize) -> (String, String, String) + Sync) -> [usize; 2] {
    let counts: Vec<[usize; 2]> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (client, guess) = (client.fresh(), &guess);
                scope.spawn(move || {
                    let mut counts = [0; 2];
                    for number in (thread..GUESSES).step_by(THREADS) {
                        let (name, password, address) = guess(number);
                        let header = basic_header(&name, &password);
                        let answer = client.request("GET", "/v2/").header("Authorization", &header);
                        let answer = answer.header("X-Forwarded-For", &address).call();
                        match answer.status {
                            401 => counts[0] += 1,
                            429 => counts[1] += 1,
                            other => panic!("{name}:{password}: {other}"),
                        }
                    }
                    counts
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    counts.iter().fold([0, 0], |sum, one| [sum[0] + one[0], sum[1] + one[1]])
}

fn basic_header(name: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
}

fn ten_thousand(mode: Mode, guess: impl Fn(usize) -> (String, String, String) + Sync) -> [usize; 2] {
    let setup = Setup::default().behind_tls_proxy().set("server", "trusted_proxies = [\"127.0.0.1/32\"]");
    let registry = Registry::with(mode, &setup);
    let before = memory::resident_kib(registry.server().pid());
    let start = Instant::now();
    let counts = guess_all(&registry.nobody(), guess);
    assert!(start.elapsed() < TIME, "{:?} for {GUESSES} guesses", start.elapsed());
    let grown = memory::resident_kib(registry.server().pid()).saturating_sub(before);
    assert!(grown < GROWTH, "grown by {grown} KiB");
    // From elsewhere everybody gets in at once, the accounts that were guessed at included.
    for (name, last) in [(ADMIN, 250), (USER, 251), (OTHER, 252)] {
        let client = registry.nobody();
        let start = Instant::now();
        let header = basic_header(name, &registry.password(name));
        let ask = client.request("GET", "/v2/").header("Authorization", &header);
        let answer = ask.header("X-Forwarded-For", &format!("203.0.113.{last}")).call();
        let waited = answer.header("retry-after").map(str::to_owned);
        assert_eq!(answer.status, 200, "{name}: {waited:?} {}", answer.text());
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
    if mode == Mode::Mcias {
        let asked = registry.identity().counts().logins;
        assert!(asked < GUESSES / 2, "the identity service is spared: asked {asked} times");
    }
    registry.assert_audit_sound();
    // One row for each address and account in a minute, and one more for its repeats: never a row a guess.
    mcr_tests::clock::wait_until("a guess is written", || registry.count_events("login_failed") > 0);
    let recorded = registry.count_events("login_failed");
    assert!(recorded > 0 && recorded < GUESSES / 2, "repeats are counted, not written one by one: {recorded} rows");
    registry.assert_nothing_secret_logged();
    counts
}

#[test]
fn ten_thousand_guesses_from_one_address_get_nowhere() {
    let counts = ten_thousand(Mode::Htpasswd, |number| {
        // Accounts there are and accounts there are not, never USER: who is not guessed at does not notice.
        let name = if number % 2 == 0 { format!("nobody-{number}") } else { "root".to_owned() };
        (name, format!("guess-{number}"), "198.51.100.7".to_owned())
    });
    assert!(counts[1] > GUESSES * 9 / 10, "{counts:?}");
}

#[test]
fn ten_thousand_guesses_from_five_hundred_addresses_get_nowhere() {
    let counts = ten_thousand(Mode::Mcias, |number| {
        let address = format!("198.51.{}.{}", number % 4, number % 250);
        // Of each account, a thousand guesses; of each address, twenty.
        (format!("nobody-{}", number % 10), format!("guess-{number}"), address)
    });
    assert!(counts[1] > GUESSES / 2, "{counts:?}");
}

#[test]
fn one_wrong_password_in_a_loop_locks_nobody_else_out() {
    // All clients behind one address: a job with an old password tries without end.
    for (setup, forwarded) in [
        (Setup::default(), None),
        (Setup::default().set("server", "trusted_proxies = [\"127.0.0.1/32\"]"), None),
        (Setup::default().set("server", "trusted_proxies = [\"127.0.0.1/32\"]"), Some("192.0.2.1")),
    ] {
        for mode in Mode::ALL {
            let registry = Registry::with(mode, &setup);
            let client = registry.nobody();
            let ask = |name: &str, password: &str| {
                let ask = client.request("GET", "/v2/").header("Authorization", &basic_header(name, password));
                let ask = match forwarded {
                    Some(address) => ask.header("X-Forwarded-For", address),
                    None => ask,
                };
                ask.call().status
            };
            let (own, other) = (registry.password(USER), registry.password(OTHER));
            assert_eq!(ask(USER, &own), 200);
            let loops: Vec<u16> = (0..300).map(|_| ask(USER, "the-old-password")).collect();
            assert!(loops.iter().all(|status| matches!(status, 401 | 429)), "{loops:?}");
            assert!(loops.contains(&429), "{mode:?} {forwarded:?}: it is slowed down");
            // A neighbour that never logged in before, the account itself, and an administrator.
            assert_eq!(ask(OTHER, &other), 200, "{mode:?} {forwarded:?}");
            assert_eq!(ask(USER, &own), 200, "{mode:?} {forwarded:?}");
            assert_eq!(ask(ADMIN, &registry.password(ADMIN)), 200, "{mode:?} {forwarded:?}");
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn an_unknown_account_takes_as_long_as_a_wrong_password() {
    // With hashes of a cost that people use, so that one that is left out would be seen.
    let registry = Registry::start(Mode::Htpasswd);
    let file = registry.home().join("htpasswd");
    for name in [USER, OTHER] {
        let mut command = tools::command("htpasswd");
        let password = registry.password(name);
        let _ = process::run(command.args(["-bB", "-C", "9"]).arg(&file).args([name, &password])).ok();
    }
    registry.server().signal("HUP");
    let slow = || registry.nobody().from(address(1)).with_basic(OTHER, &registry.password(OTHER)).get("/v2/").status;
    mcr_tests::clock::wait_until("the new file is read", || slow() == 200);
    let time = |name: &str, number: usize| {
        // Each from an address of its own, so that no limit answers; the connection is made before the clock starts.
        let client = registry.nobody().from(address(10 + u8::try_from(number).unwrap()));
        let _ = client.get("/healthz");
        let header = basic_header(name, &format!("wrong-{name}-{number}"));
        let start = Instant::now();
        let _ = client.request("GET", "/v2/").header("Authorization", &header).call().expect(401);
        start.elapsed()
    };
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..SAMPLES {
        times[0].push(time(USER, number));
        times[1].push(time("no-such-account", number + SAMPLES));
    }
    let [wrong, unknown] = times.map(median);
    let (short, long) = (wrong.min(unknown), wrong.max(unknown));
    assert!(long < short * 2, "a wrong password takes {wrong:?}, an unknown account {unknown:?}");
    assert!(short > Duration::from_millis(2), "no hash was computed: {wrong:?}, {unknown:?}");
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 9, last))
}
