//! Tests of the store through its public face: one behaviour suite that runs on the real and on the forgetful disk,
//! then crashes, failing calls and fault points. Tests of a single module's insides stand beside that module.

#![expect(clippy::disallowed_methods, reason = "tests look at files behind the store's back")]

mod behaviour;
mod crashes;
mod damage;
mod failures;
mod fault_points;
mod model;
mod sessions;
mod support;

/// Runs each check on the real disk and on the forgetful one: the fake has to behave as the real one does.
macro_rules! on_both_disks {
    ($($check:ident),* $(,)?) => {
        mod real {
            $(#[test] fn $check() { super::$check(&crate::Disk::real()); })*
        }
        mod forgetful {
            $(#[test] fn $check() { super::$check(&crate::Disk::forgetful()); })*
        }
    };
}
use on_both_disks;
