use super::*;
use proptest::prelude::*;

fn example() -> Ledger {
    let mut ledger = Ledger::new("n1");
    ledger.version = 7;
    let assignment = |ips: &[&str], pool: Option<&str>| Assignment {
        ingress: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        pool: pool.map(PoolName::from),
    };
    ledger.allocations = [
        ("web", assignment(&["10.0.0.1", "2001:db8::1"], Some("a"))),
        ("db", assignment(&["10.0.0.2"], None)),
    ]
    .map(|(name, assignment)| (ServiceKey::new("shop", name), assignment))
    .into();
    ledger
}

#[test]
fn a_ledger_reads_as_it_was_written() {
    for ledger in [example(), Ledger::new("n")] {
        let text = ledger.to_text().unwrap();
        assert_eq!(Ledger::parse(text.as_bytes()), Ok(ledger));
    }
    let text = example().to_text().unwrap();
    let line = r#"  "shop/web": {"addresses":["10.0.0.1","2001:db8::1"],"pool":"a"}"#;
    assert!(text.lines().any(|l| l == line), "{text}");
}

#[test]
fn ids_differ() {
    assert_ne!(Ledger::new("n").id, Ledger::new("n").id);
}

#[test]
fn no_part_of_a_ledger_is_one() {
    let text = example().to_text().unwrap();
    for cut in 0..text.len() {
        let part = &text.as_bytes()[..cut];
        assert_eq!(Ledger::parse(part), Err(LedgerError::Checksum), "{cut}");
    }
}

#[test]
fn another_format_is_named() {
    let text = example()
        .to_text()
        .unwrap()
        .replace("corten.io/v1", "corten.io/v2");
    let (body, _) = text.rsplit_once(CHECKSUM).unwrap();
    let text = format!("{body}{CHECKSUM}\"{:016x}\"\n", checksum(body.as_bytes()));
    let error = Ledger::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "not understood: corten.io/v2 AllocationLedger");
}

proptest! {
    #[test]
    fn a_flipped_bit_is_noticed(at in 0usize..400, bit in 0u8..8) {
        let mut bytes = example().to_text().unwrap().into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(Ledger::parse(&bytes).is_err());
    }
}
