//! The disk forgets what it should, and keeps what it must: else the other tests would prove nothing.

use std::fs::{File, OpenOptions, rename};
use std::io::Write as _;

use mcr_tests::forgetful_fs::Forgetful;
use mcr_tests::forgetful_fs::disk::Loss;
use mcr_tests::{Random, tools};

#[test]
fn only_what_was_synced_is_there_afterwards() {
    if let Err(why) = Forgetful::possible() {
        return tools::not_run("power loss", &why);
    }
    let mut disk = Forgetful::mount();
    let at = |name: &str| disk.path().join(name);
    let sync_names = || File::open(disk.path()).unwrap().sync_all().unwrap();
    let mut kept = File::create(at("kept")).unwrap();
    kept.write_all(b"synced").unwrap();
    kept.sync_all().unwrap();
    let mut bytes = File::create(at("bytes-unsynced")).unwrap();
    bytes.write_all(b"lost").unwrap();
    std::fs::write(at("old"), b"").unwrap();
    sync_names();
    kept.write_all(b", then not").unwrap();
    rename(at("old"), at("new")).unwrap();
    let name = File::create(at("name-unsynced")).unwrap();
    name.sync_all().unwrap();
    drop((kept, bytes, name));
    disk.cut_power();
    assert!(OpenOptions::new().append(true).open(at("kept")).unwrap().write_all(b"x").is_err());
    disk.restore_power(Loss::Everything, &mut Random::new(1));
    let mut names: Vec<_> = std::fs::read_dir(disk.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["bytes-unsynced", "kept", "old"]);
    assert_eq!(std::fs::read(disk.path().join("kept")).unwrap(), b"synced");
    assert_eq!(std::fs::read(disk.path().join("bytes-unsynced")).unwrap(), b"");
    assert_eq!(disk.syncs(), 3);
}
