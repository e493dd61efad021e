use super::*;
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use std::os::unix::fs::symlink;

/// PEM of a certificate and of its key.
fn made(name: &str) -> [String; 2] {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    [certificate.pem(), key.serialize_pem()]
}

fn shown(files: &Files) -> Vec<u8> {
    let shown = files.shown.0.read().unwrap();
    shown.as_ref().unwrap().cert[0].to_vec()
}

/// As the kubelet does: a directory of its own for each version, and a link that is exchanged.
fn mount(root: &Path, version: &str, pair: &[String; 2]) {
    let dir = root.join(version);
    fs::create_dir(&dir).unwrap();
    for (name, text) in ["tls.crt", "tls.key"].into_iter().zip(pair) {
        fs::write(dir.join(name), text).unwrap();
    }
    symlink(version, root.join("..new")).unwrap();
    fs::rename(root.join("..new"), root.join("..data")).unwrap();
}

#[test]
fn a_secrets_new_version_is_taken_up() {
    let root = tempfile::tempdir().unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), root.path().join(name)).unwrap();
    }
    let error = Files::open(root.path()).unwrap_err().to_string();
    assert!(error.contains("tls.crt"), "{error}");
    mount(root.path(), "..1", &made("first"));
    let mut files = Files::open(root.path()).unwrap();
    let first = shown(&files);
    files.look();
    assert_eq!(shown(&files), first);
    mount(root.path(), "..2", &made("second"));
    files.look();
    assert_ne!(shown(&files), first);
    assert_eq!(files.fault, Fault::None);
}

#[test]
fn a_pair_that_does_not_fit_leaves_the_one_before() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
    let [certificate, key] = made("first");
    write("tls.crt", &certificate);
    write("tls.key", &key);
    let mut files = Files::open(root.path()).unwrap();
    let first = shown(&files);
    let [other, other_key] = made("second");
    let said = |files: &Files| matches!(files.fault, Fault::Said(_));
    for (name, text) in [
        ("tls.crt", other.as_str()),
        ("tls.crt", "nonsense"),
        ("tls.crt", &certificate[..certificate.len() / 2]),
        ("tls.key", &other_key),
        ("tls.key", ""),
    ] {
        write("tls.crt", &certificate);
        write("tls.key", &key);
        files.look();
        assert_eq!(files.fault, Fault::None);
        write(name, text);
        files.look();
        // The other file may be about to be written.
        assert!(!said(&files), "{name}");
        files.look();
        assert!(said(&files), "{name}: {:?}", files.fault);
        assert_eq!(shown(&files), first, "{name}");
    }
    fs::remove_file(root.path().join("tls.key")).unwrap();
    files.look();
    files.look();
    assert!(said(&files));
    assert_eq!(shown(&files), first);
    write("tls.crt", &other);
    write("tls.key", &other_key);
    files.look();
    assert_ne!(shown(&files), first);
}
