//! Within its bounds, and all of them.

use super::Jitter;
use std::time::Duration;

#[test]
fn intervals_are_shortened_within_bounds() {
    for (multiplier, longest) in [(1, 900), (2, 1000), (255, 1000)] {
        let mut jitter = Jitter::new(7);
        let drawn: Vec<_> = (0..2000)
            .map(|_| {
                jitter
                    .draw(multiplier)
                    .of(Duration::from_secs(1))
                    .as_millis()
            })
            .collect();
        assert_eq!(drawn.iter().min(), Some(&750), "{multiplier}");
        assert_eq!(drawn.iter().max(), Some(&longest), "{multiplier}");
    }
    let alike = |seed| Jitter::new(seed).draw(3).permille;
    assert_eq!(alike(1), alike(1));
    assert_ne!(alike(1), alike(2));
}
