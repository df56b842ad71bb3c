//! Asks the processor for memory before it is needed. A hint: it reads nothing, changes nothing and waits for nothing.
//!
//! Not even the atomics of a lock wait for what was asked for. So whoever knows some orders ahead what they will touch has all of it on its way
//! at once, where reading would wait for each, one after the other.

/// Bytes that come together.
pub(crate) const LINE_BYTES: usize = 64;

/// So many things are asked for together: enough to keep a processor's loads busy, few enough that what they brought is still in its first caches.
pub(crate) const TOGETHER: usize = 32;

/// Asks for where `value` begins.
#[inline]
pub(crate) fn ask_for<T>(value: &T) {
    branches::prefetch_read_data::<T, 0>(value);
}

/// Asks for the first bytes of `value`.
#[inline]
pub(crate) fn ask_for_bytes<T: ?Sized>(value: &T, bytes: usize) {
    let first = std::ptr::from_ref(value).cast::<u8>();
    for line in 0..bytes.min(size_of_val(value)).div_ceil(LINE_BYTES) {
        branches::prefetch_read_data::<u8, 0>(first.wrapping_add(line * LINE_BYTES));
    }
}

/// Asks for all of `value`.
#[inline]
pub(crate) fn ask_for_whole<T: ?Sized>(value: &T) {
    ask_for_bytes(value, size_of_val(value));
}

/// Asks for what stands behind `values`: where a list that has room puts the next.
#[inline]
pub(crate) fn ask_for_next<T>(values: &[T]) {
    branches::prefetch_read_data::<T, 0>(values.as_ptr().wrapping_add(values.len()));
}
