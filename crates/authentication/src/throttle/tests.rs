//! Guessing: what gets through, and that nobody is locked out for another.

use tokio::time::advance;

use super::*;

fn peer(text: &str) -> Peer {
    Peer { address: Some(text.parse().unwrap()), is_shared: false }
}

struct Tries {
    throttle: Throttle,
    made: u32,
}

impl Tries {
    fn new() -> Self {
        Self { throttle: Throttle::new().unwrap(), made: 0 }
    }

    /// A password nobody tried before.
    fn guess(&mut self, account: &str, from: Peer) -> bool {
        self.made += 1;
        let password = self.made.to_string();
        self.wrong(account, &password, from)
    }

    fn wrong(&self, account: &str, password: &str, from: Peer) -> bool {
        self.leave(account, password, from).map(Leave::wrong).is_ok()
    }

    fn right(&self, account: &str, password: &str, from: Peer) -> bool {
        self.leave(account, password, from).map(Leave::right).is_ok()
    }

    fn leave(&self, account: &str, password: &str, peer: Peer) -> Result<Leave<'_>, u32> {
        let credential = self.throttle.marker.mark(&[account, password]);
        self.throttle.leave(&Attempt { account: Some(account), credential, peer })
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_guesses_from_one_address_are_eleven() {
    let mut tries = Tries::new();
    let looked_at = (0..10_000).filter(|_| tries.guess("anna", peer("192.0.2.1"))).count();
    assert_eq!(looked_at, 10);
    advance(Duration::from_secs(10)).await;
    assert!(tries.guess("anna", peer("192.0.2.1")) && !tries.guess("anna", peer("192.0.2.1")));
}

#[tokio::test(start_paused = true)]
async fn many_addresses_together_have_one_measure_for_an_account_and_many_accounts_one_for_an_address() {
    let mut tries = Tries::new();
    let from = |n: u32| peer(&format!("198.51.{}.{}", n / 250, n % 250));
    assert_eq!((0..10_000).filter(|n| tries.guess("anna", from(*n))).count(), 20);
    assert_eq!((0..10_000).filter(|n| tries.guess(&format!("user{n}"), peer("192.0.2.1"))).count(), 50);
    // One customer has a whole network of IPv6.
    let v6 = |n: u32| peer(&format!("2001:db8::{n:x}"));
    assert_eq!((0..10_000).filter(|n| tries.guess(&format!("six{n}"), v6(*n))).count(), 50);
}

#[tokio::test(start_paused = true)]
async fn one_wrong_password_in_a_loop_locks_nobody_else_out() {
    let tries = Tries::new();
    let nat = peer("192.0.2.1");
    let looked_at = (0..1000).filter(|_| tries.wrong("ci", "old", nat)).count();
    assert_eq!(looked_at, 6, "itself it is limited");
    assert!(tries.right("ci", "new", nat), "the same account with the right password");
    assert!(tries.right("anna", "hers", nat) && tries.right("bert", "his", nat));
}

#[tokio::test(start_paused = true)]
async fn who_logged_in_lately_gets_in_while_others_guess() {
    let mut tries = Tries::new();
    let nat = peer("192.0.2.1");
    assert!(tries.right("anna", "hers", nat));
    let guessed = (0..1000).filter(|_| tries.guess("anna", nat)).count();
    let elsewhere = (0..1000).filter(|n| tries.guess("anna", peer(&format!("198.51.100.{}", n % 250)))).count();
    assert_eq!((guessed, elsewhere), (10, 10));
    assert!(tries.right("anna", "hers", nat) && tries.right("anna", "hers", peer("203.0.113.9")));
    assert!(!tries.guess("anna", nat));
    advance(GOOD_FOR).await;
    assert!(tries.right("anna", "hers", nat), "the buckets filled meanwhile");
}

#[tokio::test(start_paused = true)]
async fn right_tries_cost_nothing_and_neither_do_those_nobody_looked_at() {
    let tries = Tries::new();
    let nat = peer("192.0.2.1");
    assert!((0..200).all(|n| tries.right(&format!("user{n}"), "right", nat)));
    let unseen = |n: u32| tries.leave("anna", &n.to_string(), nat).map(Leave::unseen).is_ok();
    assert!((0..200).all(unseen), "the identity service was down");
    let held: Vec<_> = (0..20).map(|n| tries.leave("anna", &format!("x{n}"), nat)).collect();
    assert_eq!(held.iter().filter(|leave| leave.is_ok()).count(), 10, "many at once do not pass one look");
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_before_the_answer_has_tried() {
    let tries = Tries::new();
    let begun = (0..1000).filter(|n| tries.leave("anna", &n.to_string(), peer("192.0.2.1")).map(drop).is_ok()).count();
    assert_eq!(begun, 10, "each would keep a thread busy to its end");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_many_share_is_not_limited_but_accounts_are() {
    let mut tries = Tries::new();
    let proxy = Peer { is_shared: true, ..peer("10.0.0.1") };
    assert!((0..1000).all(|n| tries.guess(&format!("user{n}"), proxy)));
    assert_eq!((0..1000).filter(|_| tries.guess("anna", proxy)).count(), 20);
}

#[tokio::test(start_paused = true)]
async fn it_says_how_long_to_wait_and_that_is_enough() {
    let mut tries = Tries::new();
    while tries.guess("anna", peer("192.0.2.1")) {}
    let wait = tries.leave("anna", "one more", peer("192.0.2.1")).map(drop).unwrap_err();
    assert!((1..=11).contains(&wait), "{wait}");
    advance(Duration::from_secs(wait.into())).await;
    assert!(tries.guess("anna", peer("192.0.2.1")));
}
