use super::*;

#[test]
fn only_results_in_a_row_count() {
    let check = |rise, fall, results: &str, want: &str| {
        let mut streak = Streak::default();
        let step = |c| {
            let before = streak.is_ready();
            let changed = streak.count(c == '+', rise, fall);
            assert_eq!(changed, before != streak.is_ready());
            if streak.is_ready() { 'r' } else { '.' }
        };
        assert_eq!(results.chars().map(step).collect::<String>(), want);
    };
    check(1, 1, "+-+", "r.r");
    check(2, 3, "+-++---+-++", "...rrr....r");
    check(3, 2, "++-+++-+--", ".....rrrr.");
}
