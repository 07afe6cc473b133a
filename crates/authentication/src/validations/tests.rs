//! Names of accounts that a service does not tell, and its recovery.

use std::sync::atomic::Ordering;

use mcr_access::AccountKind;

use crate::gate::State;
use crate::testing::{House, Mood, basic, bearer, peer};

#[tokio::test(start_paused = true)]
async fn an_account_without_a_name_is_called_what_it_logged_in_as_or_by_its_subject() {
    let house = House::service();
    let token = house.service.give("anna", AccountKind::Human, &["user"]);
    house.service.claims.lock().unwrap().get_mut(&token).unwrap().name = None;
    assert_eq!(house.identify(&bearer(&token)).await.unwrap().account(), "uuid-anna");
    house.identify(&basic("anna", "right")).await.unwrap();
    house.pass(30).await;
    assert_eq!(house.identify(&bearer(&token)).await.unwrap().account(), "anna");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_is_looked_after_until_it_is_back() {
    let house = House::service();
    let State::Service(validations) = &house.gate.inner.state else { panic!() };
    validations.look_after().await;
    assert_eq!(house.service.asked(), (0, 0), "while it is up nobody bothers it");
    house.service.set(Mood::Failing);
    let _ = house.gate.identify(Some(b"Bearer some-token"), &peer()).await;
    assert_eq!(house.gate.identity_up(), Some(false));
    validations.look_after().await;
    assert_eq!(house.gate.identity_up(), Some(false));
    house.service.set(Mood::Well);
    validations.look_after().await;
    assert_eq!(house.gate.identity_up(), Some(true));
    assert!(house.service.validations.load(Ordering::SeqCst) == 3);
}
