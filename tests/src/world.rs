//! A network and a table of mounts of a test's own, so that a registry can have a name and an address that is not
//! loopback without a change to the machine; never a connection to anything outside.

use std::path::Path;
use std::process::Command;

use crate::process;

/// The address that the registry has there: reached by nobody else, since the network has no other member.
pub const ADDRESS: &str = "10.99.0.1";
/// A name of it.
pub const NAME: &str = "registry.test";
/// Another name of it.
pub const INTERNAL: &str = "internal.test";

const INSIDE: &str = "MCR_TEST_WORLD";

/// Whether the test `name` (as the runner calls it) runs inside such a world. Where it does not, it is started once
/// more inside one, and this says `false` when that went well.
///
/// # Panics
/// Where the test failed inside.
#[must_use]
#[track_caller]
pub fn enter(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == name) {
        prepare();
        return true;
    }
    let itself = std::env::current_exe().expect("a test knows itself");
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--propagation", "private"]).arg(itself);
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, name);
    let output = process::run(&mut command);
    let text = output.all();
    assert!(output.code == Some(0) && text.contains("1 passed"), "{name} inside a world of its own:\n{text}");
    false
}

fn prepare() {
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["address", "add", &format!("{ADDRESS}/32"), "dev", "lo"]);
    let home = tempfile::tempdir().expect("a directory");
    let hosts = home.path().join("hosts");
    let text = format!("127.0.0.1 localhost\n{ADDRESS} {NAME} {INTERNAL}\n");
    std::fs::write(&hosts, text).expect("a table of names");
    run("mount", &["--bind", &hosts.display().to_string(), "/etc/hosts"]);
    let _ = std::fs::remove_dir_all(&home);
}

/// Puts an empty directory in place of `path`, for this world only.
///
/// # Panics
/// Where it cannot be mounted.
#[track_caller]
pub fn cover(path: &Path) {
    let _ = std::fs::create_dir_all(path);
    run("mount", &["-t", "tmpfs", "tmpfs", &path.display().to_string()]);
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let mut command = crate::tools::command(program);
    let _ = process::run(command.args(arguments)).ok();
}
