//! YAML read by Python's own parser, as JSON: the files here are for other programs, not for ours; never written.

use std::path::Path;

use mcr_tests::process;
use mcr_tests::tools;
use serde_json::Value;

/// The document in `file`; one that is no YAML, or names a key twice, fails the test.
#[track_caller]
pub(crate) fn read(file: &Path) -> Value {
    const PROGRAM: &str = "
import json, sys, yaml
class Strict(yaml.SafeLoader):
    pass
def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(map(str, keys))), f'a key stands twice: {keys}'
    return {str(k).replace('True', 'on') if k is True else str(k): v
            for k, v in loader.construct_pairs(node, deep=True)}
Strict.add_constructor('tag:yaml.org,2002:map', mapping)
print(json.dumps(yaml.load(open(sys.argv[1]), Strict)))
";
    // Debian's own, where the package puts its library: another Python in PATH may lack it.
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.args(["-c", PROGRAM]).arg(file);
    let read = process::run(&mut command).ok();
    serde_json::from_slice(&read.stdout).unwrap()
}

/// The document in a file of this repository.
#[track_caller]
pub(crate) fn of_repository(path: &str) -> Value {
    read(&tools::repository_root().join(path))
}
