//! Tests of the grammar of `MCR_FAULTS` and of counting hits.

use super::*;

#[test]
fn every_action_is_known() {
    let spec = "a=kill, b=eio,c=enospc,d=erofs,e=eacces,f=sleep:250,";
    let plan = Plan::parse(spec).unwrap();
    let struck: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(|name| plan.strike(name)).into();
    let expected = [
        Some(Action::Kill),
        Some(Action::Fail(Errno::IO)),
        Some(Action::Fail(Errno::NOSPC)),
        Some(Action::Fail(Errno::ROFS)),
        Some(Action::Fail(Errno::ACCESS)),
        Some(Action::Sleep(250)),
        None,
    ];
    assert_eq!(struck, expected);
}

#[test]
fn only_the_nth_hit_strikes() {
    let plan = Plan::parse("a=eio@2,a=enospc@3").unwrap();
    assert_eq!(plan.strike("a"), None);
    assert_eq!(plan.strike("a"), Some(Action::Fail(Errno::IO)));
    assert_eq!(plan.strike("a"), Some(Action::Fail(Errno::NOSPC)));
    assert_eq!(plan.strike("a"), None);
}

#[test]
fn a_mistyped_fault_is_refused_and_named() {
    for spec in ["blob.sync", "a=explode", "a=eio@0", "a=eio@x", "a=sleep:long", "a=sleep"] {
        let error = Plan::parse(&format!("b=kill,{spec}")).unwrap_err();
        assert!(error.contains(&format!("`{spec}`")), "{error}");
    }
}
