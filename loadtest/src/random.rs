//! Numbers that look random and are the same for the same seed: what makes a load repeatable.

use std::num::NonZeroU32;

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, good enough to choose a SKU by.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        SplitMix64(seed)
    }

    /// A stream of its own for item `index` under `seed`, so that an item is the same whoever asks for it, and when.
    pub fn for_item(seed: u64, index: u64) -> Self {
        SplitMix64(mix(seed ^ mix(index.wrapping_mul(GAMMA).wrapping_add(1))))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// The next number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// The next index into a list of `len`; 0 when it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// The next number from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.bits() >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
    }

    /// True with probability `probability`.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

/// A 64-bit digest of `text` (FNV-1a, mixed): stable between runs and machines.
pub fn digest(text: &str) -> u64 {
    let folded = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(folded)
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Draws ranks 0, 1, 2, … with weights 1, 1/2^s, 1/3^s, …: few items wanted by many, many by few.
#[derive(Clone, Debug)]
pub struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Over `ranks` ranks with exponent `s`; 1.0 is the usual shape of a shop's demand.
    pub fn new(ranks: NonZeroU32, s: f64) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=ranks.get())
            .map(|rank| {
                sum += f64::from(rank).powf(-s);
                sum
            })
            .collect();
        Zipf { cumulative }
    }

    /// A rank below the number of ranks.
    pub fn sample(&self, random: &mut SplitMix64) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let point = random.unit() * total;
        self.cumulative.partition_point(|&sum| sum <= point).min(self.cumulative.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_depends_on_seed_and_index_alone() {
        let draw = |seed, index| SplitMix64::for_item(seed, index).bits();
        assert_eq!(draw(7, 3), draw(7, 3));
        assert_ne!(draw(7, 3), draw(7, 4));
        assert_ne!(draw(7, 3), draw(8, 3));
    }

    #[test]
    fn zipf_repeats_by_seed_and_falls_with_the_rank() {
        let zipf = Zipf::new(NonZeroU32::new(1_000).unwrap(), 1.0);
        let counts = |seed| {
            let mut random = SplitMix64::new(seed);
            let mut counts = vec![0_u32; 1_000];
            (0..100_000).for_each(|_| counts[zipf.sample(&mut random)] += 1);
            counts
        };
        assert_eq!(counts(1), counts(1));
        assert_ne!(counts(1), counts(2));
        let counts = counts(1);
        // The first rank has 1/H(1000) = 13.4 % of the draws, the tenth a tenth of that.
        assert!((12_900..=13_900).contains(&counts[0]), "{}", counts[0]);
        assert!((1_150..=1_550).contains(&counts[9]), "{}", counts[9]);
    }

    #[test]
    fn below_stays_below() {
        let mut random = SplitMix64::new(1);
        assert!((0..10_000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&random.unit())));
    }
}
