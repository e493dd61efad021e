use crate::event::manifest::{check_problems, custom};

/// The kinds are named without a namespace everywhere, so a name is one object's only.
#[test]
fn one_name_in_two_namespaces() {
    let rows = [
        ("IPAddressPool", "addresses: [10.0.0.0/24]"),
        ("L2Advertisement", ""),
        ("BGPAdvertisement", ""),
        ("BGPPeer", "myASN: 1, peerASN: 2, peerAddress: 10.0.0.1"),
        ("BFDProfile", ""),
        ("Community", "communities: []"),
    ];
    for (kind, spec) in rows {
        let one = custom(kind, "a", spec);
        let two = one.replace("namespace: m", "namespace: z");
        let cause =
            format!("metadata.name: duplicate definition of {kind} \"a\", also in namespace \"m\"");
        let text = format!("{one}\n---\n{two}");
        check_problems(&text, &format!("{kind} z/a"), &[&cause]);
    }
}
