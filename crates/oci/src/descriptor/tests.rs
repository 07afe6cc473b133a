//! Tests of descriptors and platforms alone; as parts of manifests they are tested there.

use super::*;

fn read(json: &str) -> Result<Descriptor, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn with(rest: &str) -> String {
    format!(r#"{{"digest":"{}","size":2{rest}}}"#, Digest::sha256(b"{}"))
}

#[test]
fn digest_and_size_suffice() {
    assert_eq!(read(&with("")).unwrap(), Descriptor::new("", Digest::sha256(b"{}"), 2));
    let nulls = r#","mediaType":null,"platform":null,"artifactType":null,"annotations":null,"data":null,"urls":null"#;
    assert_eq!(read(&with(nulls)), read(&with("")));
    assert_eq!(read(&with(r#","artifactType":"","unknown":[{}]"#)), read(&with("")));
}

#[test]
fn what_is_written_is_read_back() {
    let rest = concat!(
        r#","mediaType":"a/b","artifactType":"c/d","annotations":{"k":"v","n":null},"data":"e30=","urls":["x"],"#,
        r#""platform":{"os":"windows","architecture":"arm64","variant":"v8","os.version":"10","os.features":["f"]}"#
    );
    let descriptor = read(&with(rest)).unwrap();
    assert_eq!(descriptor.annotations.get("n").map(String::as_str), Some(""));
    assert_eq!(descriptor.platform.as_ref().unwrap().os_features, ["f"]);
    assert_eq!(read(&serde_json::to_string(&descriptor).unwrap()), Ok(descriptor));
}

#[test]
fn platforms_are_written_as_clients_take_them() {
    let platform = |json: &str| serde_json::from_str::<Platform>(json).unwrap().to_string();
    assert_eq!(platform(r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#), "linux/arm64/v8");
    assert_eq!(platform(r#"{"os":"linux","architecture":"amd64","variant":""}"#), "linux/amd64");
    assert_eq!(platform(r#"{"os":null}"#), "unknown/unknown");
}

#[test]
fn sizes_are_whole_and_fit_63_bits() {
    let sized = |size: &str| read(&with("").replace(":2", &format!(":{size}"))).map(|descriptor| descriptor.size);
    assert_eq!(sized("0"), Ok(0));
    assert_eq!(sized("9223372036854775807"), Ok(9_223_372_036_854_775_807));
    for size in ["-1", "9223372036854775808", "18446744073709551616", "1.0", "1e3", "\"2\"", "true"] {
        let error = sized(size).unwrap_err();
        assert!(error.contains("expected a size in bytes"), "{size}: {error}");
    }
    assert!(sized("null").unwrap_err().contains("missing field `size`"));
}
