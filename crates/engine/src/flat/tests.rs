use super::{FlatMap, FlatSet};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

proptest! {
    /// They do as the standard ones do, whatever is done to them.
    #[test]
    fn as_the_standard_collections(
        start in prop::collection::vec((0..8_u8, any::<u8>()), 0..6),
        steps in prop::collection::vec((any::<bool>(), 0..8_u8, any::<u8>()), 0..40),
    ) {
        let mut map: FlatMap<u8, u8> = start.iter().copied().collect();
        let mut map_model: BTreeMap<u8, u8> = start.iter().copied().collect();
        let mut set: FlatSet<u8> = start.iter().map(|(key, _)| *key).collect();
        let mut set_model: BTreeSet<u8> = start.iter().map(|(key, _)| *key).collect();
        for (add, key, value) in steps {
            if add {
                prop_assert_eq!(map.insert(key, value), map_model.insert(key, value));
                prop_assert_eq!(set.insert(key), set_model.insert(key));
            } else {
                prop_assert_eq!(map.remove(&key), map_model.remove(&key));
                prop_assert_eq!(set.remove(&key), set_model.remove(&key));
            }
            prop_assert!(map.iter().eq(&map_model));
            prop_assert!(map.keys().eq(map_model.keys()) && map.values().eq(map_model.values()));
            prop_assert!(set.iter().eq(&set_model));
            prop_assert_eq!(map.is_empty(), map_model.is_empty());
            for key in 0..8 {
                prop_assert_eq!(map.get(&key), map_model.get(&key));
                prop_assert_eq!(map.contains_key(&key), map_model.contains_key(&key));
                prop_assert_eq!(set.contains(&key), set_model.contains(&key));
            }
        }
    }
}
