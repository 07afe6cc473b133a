//! Tests of reading when a certificate ends.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::not_after;

fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(1990, 1, 1);
    params.not_after = date_time_ymd(year, month, day);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn both_forms_of_time_are_read() {
    assert_eq!(not_after(&certificate(2049, 12, 31)), Some(2_524_521_600));
    assert_eq!(not_after(&certificate(2050, 1, 1)), Some(2_524_608_000));
    assert_eq!(not_after(&certificate(1999, 12, 31)), Some(946_598_400));
    assert_eq!(not_after(&certificate(2026, 2, 28)), Some(1_772_236_800));
}

#[test]
fn what_is_cut_or_damaged_is_not_read_and_never_panics() {
    let good = certificate(2030, 1, 1);
    let reading = not_after(&good);
    for end in 0..good.len() {
        assert_eq!(not_after(&good[..end]), None, "cut at {end}");
    }
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let _ = not_after(&bad);
        }
    }
    assert_eq!(reading, Some(1_893_456_000));
    assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    assert_eq!(not_after(&[0x30, 0x80, 0x00, 0x00]), None);
}
