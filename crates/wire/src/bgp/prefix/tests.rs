//! Texts, host bits and order.

use super::*;

#[test]
fn host_bits_are_cleared_and_lengths_fit() {
    let check = |text: &str, expected: Option<&str>| {
        let got = text.parse::<Prefix>().map(|prefix| prefix.to_string());
        match expected {
            Some(expected) => assert_eq!(got.as_deref(), Ok(expected)),
            None => assert_eq!(got, Err(PrefixError(text.to_owned()))),
        }
    };
    check("192.0.2.129/24", Some("192.0.2.0/24"));
    check("192.0.2.129/32", Some("192.0.2.129/32"));
    check("255.255.255.255/0", Some("0.0.0.0/0"));
    check("255.255.255.255/1", Some("128.0.0.0/1"));
    check("2001:db8::ffff/64", Some("2001:db8::/64"));
    check("2001:db8::ffff/128", Some("2001:db8::ffff/128"));
    check("ffff::/0", Some("::/0"));
    check("2001:db8:0:0:1:2:3:4/80", Some("2001:db8:0:0:1::/80"));
    check("192.0.2.0/33", None);
    check("2001:db8::/129", None);
    check("192.0.2.0", None);
    check("192.0.2/24", None);
    check("192.0.2.0/-1", None);
}

#[test]
fn prefixes_are_ordered_by_family_address_and_length() {
    let order = [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.0.0.0/24",
        "10.0.1.0/24",
        "255.255.255.255/32",
        "::/0",
        "::1/128",
        "0:0:0:1::/64",
        "2001:db8::/32",
    ];
    let prefixes = order.map(|text| text.parse::<Prefix>().unwrap());
    assert!(prefixes.is_sorted());
    let addresses = prefixes.map(|prefix| (prefix.address(), prefix.length()));
    assert!(addresses.is_sorted(), "the same order as addresses have");
}
