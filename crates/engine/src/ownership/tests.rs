use super::*;

#[test]
fn the_hash_wins_where_claims_cant_count_or_one_asks_for_it() {
    let of = |fleet| Ownership {
        fleet,
        ..Ownership::default()
    };
    let (hash, sticky) = (Policy::Metallb, Policy::Sticky);
    let rows = [
        (Fleet::Stateless, vec![Wish::Sticky], hash),
        (Fleet::Claiming { default: hash }, vec![], hash),
        (Fleet::Claiming { default: sticky }, vec![], sticky),
        (Fleet::Claiming { default: hash }, vec![Wish::Default], hash),
        (
            Fleet::Claiming { default: hash },
            vec![Wish::Default, Wish::Sticky],
            sticky,
        ),
        (
            Fleet::Claiming { default: sticky },
            vec![Wish::Default],
            sticky,
        ),
        (
            Fleet::Claiming { default: sticky },
            vec![Wish::Metallb, Wish::Sticky],
            hash,
        ),
        (
            Fleet::Claiming { default: sticky },
            vec![Wish::Metallb, Wish::Default],
            hash,
        ),
    ];
    for (fleet, wishes, want) in rows {
        assert_eq!(
            of(fleet).policy(wishes.clone()),
            want,
            "{fleet:?} {wishes:?}"
        );
    }
}
