//! Packets that are almost right, made of right ones; the same seed makes the same.

/// Makes them.
pub(crate) struct Mutator(u64);

/// Octets and lengths at which things change.
const EDGES: [u8; 10] = [0, 1, 2, 4, 0x0f, 0x10, 0x7f, 0x80, 0xfe, 0xff];

/// No packet becomes longer.
const LONGEST: usize = 5000;

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.number() % end).unwrap()
    }

    fn octet(&mut self) -> u8 {
        let [octet, edge, ..] = self.number().to_le_bytes();
        match edge % 3 {
            0 => octet,
            _ => EDGES[usize::from(octet) % EDGES.len()],
        }
    }

    /// Another packet made of those of the corpus.
    pub(crate) fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut packet = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut packet, corpus);
        }
        packet.truncate(LONGEST);
        packet
    }

    fn change(&mut self, packet: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let length = packet.len();
        let at = self.below(length);
        let end = at + self.below((length - at).min(24));
        match self.below(8) {
            // Nothing is left to be changed.
            _ if length == 0 => packet.push(self.octet()),
            0 => packet[at] ^= 1 << self.below(8),
            1 => packet[at] = self.octet(),
            2 => packet.truncate(at),
            3 => drop(packet.drain(at..end)),
            4 => {
                let piece = packet[at..end].to_vec();
                let to = self.below(length);
                packet.splice(to..to, piece);
            }
            5 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len());
                packet.splice(at.., other[from..].iter().copied());
            }
            6 => {
                let octets: Vec<_> = (0..=self.below(24)).map(|_| self.octet()).collect();
                packet.splice(at..at, octets);
            }
            // A length that is a little off.
            _ => {
                let off = [0xff, 1, 0xfe, 2, 4, 0xfc][self.below(6)];
                packet[at] = packet[at].wrapping_add(off);
            }
        }
    }
}
