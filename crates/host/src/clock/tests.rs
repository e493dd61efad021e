use super::*;

#[test]
fn it_goes_on() {
    let before = since_boot();
    assert!(before > Duration::ZERO);
    assert!(since_boot() >= before);
}
