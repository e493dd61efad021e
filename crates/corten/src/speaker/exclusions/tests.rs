use super::*;

#[test]
fn default_list() {
    let exclusions = Exclusions::load(None).unwrap();
    for (name, excluded) in [
        ("eth0", false),
        ("lo", true),
        ("lo1", false),
        ("veth12", true),
        ("my-veth", false),
        ("docker0", true),
        ("cni0", true),
        ("br0", false),
        ("bond0", false),
        ("lxc_health", true),
    ] {
        assert_eq!(exclusions.excludes(name), excluded, "{name}");
    }
}

fn load(text: &str) -> Result<Exclusions, String> {
    let file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    std::fs::write(file.path(), text).map_err(|e| e.to_string())?;
    Exclusions::load(Some(file.path())).map_err(|e| format!("{e:#}"))
}

#[test]
fn a_file_replaces_the_default() {
    let exclusions = load("announcedInterfacesToExclude: [\"^eth1$\", wlan]").unwrap();
    assert!(exclusions.excludes("eth1"));
    assert!(exclusions.excludes("xwlan0"), "patterns are not anchored");
    assert!(!exclusions.excludes("lo"));
    // An empty list excludes nothing, as MetalLB's absent file does.
    assert!(
        !load("announcedInterfacesToExclude: []")
            .unwrap()
            .excludes("lo")
    );
}

#[test]
fn errors_name_the_entry() {
    for (text, part) in [
        (
            "announcedInterfacesToExclude: [\"^ok\", \"(\"]",
            "announcedInterfacesToExclude[1]: \"(\"",
        ),
        // Names of interfaces are ASCII in practice, and the tables are large.
        (
            r"announcedInterfacesToExclude: ['\p{Greek}']",
            r#"announcedInterfacesToExclude[0]: "\\p{Greek}""#,
        ),
        ("interfaces: []", "interfaces"),
        ("- x", "--exclude-interfaces"),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    let error = format!(
        "{:#}",
        Exclusions::load(Some(Path::new("/nowhere"))).unwrap_err()
    );
    assert!(
        error.contains("/nowhere") && error.contains("No such file"),
        "{error}"
    );
}
