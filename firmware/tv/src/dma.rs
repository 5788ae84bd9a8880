//! Memory that a device reads or writes at any time: shared for good, accessed through volatile reads and writes only.
#![allow(unsafe_code, reason = "memory shared with devices")]

use alloc::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use core::ptr::{self, NonNull};
use core::slice;

/// A page-aligned block, zero at first, never freed: a device may still know its address.
pub struct Dma {
    start: NonNull<u8>,
    size: usize,
}

/// Values that any bit pattern makes.
pub trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for ui::Xrgb8888 {}

impl Dma {
    pub fn new(size: usize) -> Self {
        let layout = Layout::from_size_align(size.max(1), 4096).expect("a sensible size");
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        match NonNull::new(start) {
            Some(start) => Self { start, size },
            None => handle_alloc_error(layout),
        }
    }

    /// What a device calls it: the MMU is off, so addresses are physical.
    pub fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    fn at<T: Plain>(&self, offset: usize) -> *mut T {
        let inside = offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.size);
        assert!(inside && offset % align_of::<T>() == 0, "outside of shared memory");
        self.start.as_ptr().wrapping_add(offset).cast()
    }

    pub fn read<T: Plain>(&self, offset: usize) -> T {
        // SAFETY: `at` checked range and alignment, and T is valid for any bits.
        unsafe { ptr::read_volatile(self.at(offset)) }
    }

    pub fn write<T: Plain>(&self, offset: usize, value: T) {
        // SAFETY: as in `read`.
        unsafe { ptr::write_volatile(self.at(offset), value) }
    }

    /// The block as a slice, for memory that the device only reads (a framebuffer).
    pub fn slice<T: Plain>(&mut self) -> &mut [T] {
        // SAFETY: aligned to a page, zeroed at allocation, borrowed through &mut self; the device does not write to it.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.size / size_of::<T>()) }
    }
}
