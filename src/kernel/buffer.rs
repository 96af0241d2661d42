//! Memory of the kernels: aligned buffers, and a pool of them for large temporaries.
//! In: lengths. Out: zeroed slices at 64-byte boundaries, or pooled ones with whatever they held. Never grows in place.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Mutex;

/// Cache lines and the widest vectors are this long, in bytes.
const ALIGNMENT: usize = 64;

/// Types that are valid as zeroed memory and need no drop.
///
/// # Safety
/// All-zero bytes are a value of the type, and it is `Copy`.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}
unsafe impl Plain for u32 {}
unsafe impl Plain for i32 {}
unsafe impl Plain for u16 {}
unsafe impl Plain for u8 {}
unsafe impl Plain for i8 {}

/// A slice of fixed length at a 64-byte boundary, zeroed when made.
pub struct Buffer<T: Plain> {
    start: NonNull<T>,
    len: usize,
}

// SAFETY: the buffer owns its memory and `Plain` values may be sent and shared.
unsafe impl<T: Plain> Send for Buffer<T> {}
unsafe impl<T: Plain> Sync for Buffer<T> {}

impl<T: Plain> Buffer<T> {
    /// `len` zeros. Aborts like `Vec` where memory is short; lengths from files are checked before they come here.
    pub fn new(len: usize) -> Buffer<T> {
        if len == 0 {
            return Buffer { start: NonNull::dangling(), len };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(memory.cast::<T>()) else { handle_alloc_error(layout) };
        Buffer { start, len }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }

    fn layout(len: usize) -> Layout {
        let bytes = len.saturating_mul(size_of::<T>());
        // An impossible length ends as an allocation failure, as it would in `Vec`.
        Layout::from_size_align(bytes, ALIGNMENT).unwrap_or_else(|_| {
            handle_alloc_error(Layout::from_size_align(64, ALIGNMENT).unwrap_or(Layout::new::<u8>()))
        })
    }
}

impl<T: Plain> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated in `new` with the same layout.
            unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) }
        }
    }
}

impl<T: Plain> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `len` initialised values (zeros at first) that this buffer owns.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Plain> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Plain> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let mut copy = Buffer::new(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

/// A pool of f32 buffers, so that large temporaries do not fault their pages in anew each time.
#[derive(Default)]
pub struct Scratch {
    free: Mutex<Vec<Buffer<f32>>>,
}

/// More free values than this are not kept: those that were used last are.
const FREE: usize = 32 << 20;

impl Scratch {
    /// An empty pool.
    pub const fn new() -> Scratch {
        Scratch { free: Mutex::new(Vec::new()) }
    }

    /// A buffer of `len` values, contents unspecified; given back when dropped.
    pub fn take(&self, len: usize) -> ScratchBuffer<'_> {
        let size = size_class(len);
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // The one used last, which may still be in a cache. Much larger ones are left to those who need them.
        let fitting = free.iter().rposition(|buffer| (size..=2 * size).contains(&buffer.len()));
        let found = fitting.map(|i| free.remove(i));
        drop(free);
        ScratchBuffer { pool: self, buffer: Some(found.unwrap_or_else(|| Buffer::new(size))), len }
    }

    fn give_back(&self, buffer: Buffer<f32>) {
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        free.push(buffer);
        let mut kept: usize = free.iter().map(|buffer| buffer.len()).sum();
        while kept > FREE && free.len() > 1 {
            kept -= free.remove(0).len();
        }
    }
}

/// `len` rounded up to one of eight sizes for each power of two, so that passes of slightly different lengths use the same buffers.
fn size_class(len: usize) -> usize {
    let step = (len.next_power_of_two() / 16).max(1024);
    len.div_ceil(step).max(1).saturating_mul(step)
}

/// A buffer on loan from a `Scratch`.
pub struct ScratchBuffer<'a> {
    pool: &'a Scratch,
    /// None only while it is dropped.
    buffer: Option<Buffer<f32>>,
    len: usize,
}

impl Drop for ScratchBuffer<'_> {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.pool.give_back(buffer);
        }
    }
}

impl Deref for ScratchBuffer<'_> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[..self.len])
    }
}

impl DerefMut for ScratchBuffer<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        let len = self.len;
        self.buffer.as_mut().map_or(&mut [], |buffer| &mut buffer[..len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_zeroed_aligned_and_of_its_length() {
        for len in [0, 1, 63, 64, 4097, 1 << 20] {
            let buffer = Buffer::<f32>::new(len);
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|&value| value == 0.0));
            assert_eq!(if len == 0 { 0 } else { buffer.as_ptr() as usize % ALIGNMENT }, 0);
        }
    }

    #[test]
    fn a_scratch_buffer_is_used_again() {
        let scratch = Scratch::new();
        let first = scratch.take(5000).as_ptr();
        assert_eq!(scratch.take(4000).as_ptr(), first);
        assert_eq!(scratch.take(4000).len(), 4000);
        let held = scratch.take(5000);
        assert_ne!(scratch.take(5000).as_ptr(), held.as_ptr());
    }
}
