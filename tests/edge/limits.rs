//! What one client may have at once: enough for a whole site behind one address, and nothing of what others need.

use mcr_tests::http::Connection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::scene::behind;

/// Connections of one client, as `server/src/http/clients.rs` has it.
const MOST: usize = 1024;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: reg.example\r\n\r\n";

#[test]
fn connections_of_one_client_are_bounded_and_take_none_of_anothers() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let registry = behind(&["proxy_protocol = \"required\"", "idle_timeout = \"60s\""]);
    let client = registry.nobody();
    let connect = |address: &str| -> Option<Connection> {
        let mut connection = client.connect().unwrap();
        let header = format!("PROXY TCP4 {address} 10.0.0.9 4711 8443\r\n");
        // Where it was closed already, nothing is to be sent or read.
        connection.send(&[header.as_bytes(), REQUEST].concat()).ok()?;
        let answer = connection.read_response("GET").ok()?;
        (answer.status == 200).then_some(connection)
    };
    let held: Vec<Connection> = (0..MOST).map_while(|_| connect("198.51.100.7")).collect();
    assert_eq!(held.len(), MOST);
    assert!(connect("198.51.100.7").is_none(), "one too many");
    assert!(connect("198.51.100.8").is_some(), "another client has its own");
    // Of one that a proxy did not name, nothing is known that could be counted.
    assert!(connect("127.0.0.1").is_some());
    let figures = client.get("/metrics").expect(200).text();
    assert!(figures.contains("mcr_client_limited_total{what=\"connection\"} 1\n"), "{figures}");
    drop(held);
    let began = std::time::Instant::now();
    while connect("198.51.100.7").is_none() {
        assert!(began.elapsed().as_secs() < 20, "places come back");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
