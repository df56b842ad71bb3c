//! A set in its order, in pieces of one array each.
//!
//! What is new comes many at a time, itself in order: each piece is gone through once for all that belong into it, and moved by what lies between
//! them. A tree of small nodes would be entered anew for every one, and would wait for memory at each level.

use crate::near;

/// Most that a piece has: 3 KiB of twelve bytes each, of which few cache lines are looked at and the rest is moved as one.
const PIECE: usize = 256;

/// A piece with fewer joins the one before it, if both together leave a piece half empty.
const FEW: usize = PIECE / 8;

/// The set.
#[derive(Debug)]
pub(crate) struct Sorted<T> {
    /// First of each piece; none is empty.
    firsts: Vec<T>,
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { firsts: Vec::new(), pieces: Vec::new() }
    }
}

impl<T: Copy + Ord> Sorted<T> {
    /// Adds what is new, given in order, each once.
    pub(crate) fn extend(&mut self, news: &[T]) {
        let (mut rest, mut number) = (news, 0);
        while let Some(first) = rest.first() {
            number += self.firsts[number..].partition_point(|other| other <= first).saturating_sub(1);
            let own = match self.firsts.get(number + 1) {
                None => rest.len(),
                Some(next) => rest.iter().take_while(|new| *new < next).count(),
            };
            let (own, others) = rest.split_at(own);
            // What comes next is on its way while this is gone through.
            if let Some(next) = others.first().and_then(|next| self.pieces.get(self.piece_of(next)?)) {
                near::ask_for_whole(&**next);
            }
            self.put(number, own);
            rest = others;
        }
    }

    /// Takes one out; gives whether it was there.
    pub(crate) fn remove(&mut self, one: &T) -> bool {
        let Some(number) = self.piece_of(one) else { return false };
        let piece = &mut self.pieces[number];
        let Ok(at) = piece.binary_search(one) else { return false };
        piece.remove(at);
        match piece.first() {
            Some(first) => self.firsts[number] = *first,
            None => drop(self.take_piece(number)),
        }
        self.tidy(number);
        true
    }

    /// All from `first` on, in order.
    pub(crate) fn from(&self, first: T) -> impl Iterator<Item = T> {
        let number = self.piece_of(&first).unwrap_or(0);
        let before = self.pieces.get(number).map_or(0, |piece| piece.partition_point(|one| *one < first));
        self.pieces.iter().skip(number).flatten().skip(before).copied()
    }

    /// The piece that one lies in if it is here.
    fn piece_of(&self, one: &T) -> Option<usize> {
        self.firsts.partition_point(|first| first <= one).checked_sub(1)
    }

    /// Puts what is new into a piece, and parts it if that is too much.
    fn put(&mut self, number: usize, news: &[T]) {
        let Some(piece) = self.pieces.get_mut(number) else { return self.add_pieces(number, news) };
        make_room(piece, news.len());
        merge(piece, news);
        if piece.len() > PIECE {
            let whole = self.take_piece(number);
            self.add_pieces(number, &whole);
        } else {
            self.firsts[number] = piece[0];
        }
    }

    /// Adds as few pieces as hold them, each as full as the others.
    fn add_pieces(&mut self, number: usize, all: &[T]) {
        let each = all.len().div_ceil(all.len().div_ceil(PIECE));
        let parts = all.chunks(each);
        self.firsts.splice(number..number, parts.clone().map(|part| part[0]));
        self.pieces.splice(number..number, parts.map(<[T]>::to_vec));
    }

    fn take_piece(&mut self, number: usize) -> Vec<T> {
        self.firsts.remove(number);
        self.pieces.remove(number)
    }

    /// Joins a piece with the one before it, if it has little.
    fn tidy(&mut self, number: usize) {
        let Some([before, few]) = number.checked_sub(1).and_then(|before| self.pieces.get(before..=number)) else {
            return;
        };
        if few.len() < FEW && before.len() + few.len() <= PIECE / 2 {
            let few = self.take_piece(number);
            make_room(&mut self.pieces[number - 1], few.len());
            self.pieces[number - 1].extend(few);
        }
    }
}

/// Makes room for so many more: a piece grows to its bound and no further.
fn make_room<T>(piece: &mut Vec<T>, more: usize) {
    let needed = piece.len() + more;
    if needed > piece.capacity() {
        piece.reserve_exact(needed.max(PIECE.min(2 * piece.len())) - piece.len());
    }
}

/// Puts what is new, in order, where it belongs, from the end on: each that was there moves once at most.
fn merge<T: Copy + Ord>(piece: &mut Vec<T>, news: &[T]) {
    let mut stay = piece.len();
    piece.extend_from_slice(news);
    let mut free = piece.len();
    for new in news.iter().rev() {
        let at = piece[..stay].partition_point(|one| one < new);
        free -= stay - at;
        piece.copy_within(at..stay, free);
        stay = at;
        if piece.get(free).is_none_or(|next| next != new) {
            free -= 1;
            piece[free] = *new;
        }
    }
    // Those that were there already have left a gap.
    piece.copy_within(free.., stay);
    piece.truncate(piece.len() - (free - stay));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(set: &Sorted<u32>, model: &BTreeSet<u32>) {
        assert!(set.from(0).eq(model.iter().copied()));
        assert!(set.firsts.iter().eq(set.pieces.iter().map(|piece| &piece[0])), "the first of each piece is known");
        assert!(set.pieces.iter().all(|piece| piece.len() <= PIECE));
    }

    proptest! {
        #[test]
        fn the_set_is_the_set_of_a_tree(
            steps in prop::collection::vec((prop::collection::btree_set(0_u32..3_000, 0..400), any::<bool>(), 0_u32..3_001), 1..40),
        ) {
            let (mut set, mut model) = (Sorted::default(), BTreeSet::new());
            for (some, goes, first) in steps {
                if goes {
                    for one in some {
                        prop_assert_eq!(set.remove(&one), model.remove(&one));
                    }
                } else {
                    let some: Vec<u32> = some.into_iter().collect();
                    set.extend(&some);
                    model.extend(some);
                }
                check(&set, &model);
                prop_assert!(set.from(first).eq(model.range(first..).copied()));
            }
        }
    }

    #[test]
    fn pieces_part_when_they_are_full_and_join_when_little_is_left() {
        let (mut set, mut model) = (Sorted::default(), BTreeSet::new());
        for start in 0..8 {
            let some: Vec<u32> = (0..512).map(|number| number * 8 + start).collect();
            set.extend(&some);
            set.extend(&some);
            model.extend(some);
            check(&set, &model);
        }
        assert!(set.pieces.len() <= 2 * 4_096 / PIECE, "{} pieces", set.pieces.len());
        for one in (0..4_096).filter(|one| one % 64 != 0) {
            assert!(set.remove(&one) && model.remove(&one));
        }
        check(&set, &model);
        assert!(set.pieces.len() <= 4, "{} pieces of 64", set.pieces.len());
        (0..4_096).step_by(64).for_each(|one| assert!(set.remove(&one)));
        assert!(set.pieces.is_empty() && set.firsts.is_empty());
    }
}
