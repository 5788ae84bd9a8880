//! The heap: the largest stretch of memory that neither the image nor the devicetree occupies.
#![allow(unsafe_code, reason = "a global allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;

use linked_list_allocator::Heap;

use crate::{fdt::Fdt, start};

/// More than this is not needed: two 4K framebuffers fit.
const MOST: usize = 128 << 20;

struct OneHart(UnsafeCell<Heap>);

// SAFETY: one hart runs Rust code and takes no interrupts, so that no two accesses overlap; the parked harts only count up.
unsafe impl Sync for OneHart {}

#[global_allocator]
static HEAP: OneHart = OneHart(UnsafeCell::new(Heap::empty()));

// SAFETY: forwards to an allocator, which upholds the contract; exclusive by the reason above.
unsafe impl GlobalAlloc for OneHart {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see `Sync` above.
        let heap = unsafe { &mut *self.0.get() };
        heap.allocate_first_fit(layout).map_or(core::ptr::null_mut(), |p| p.as_ptr())
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: see `Sync` above; `at` comes from `alloc` with the same layout.
        unsafe {
            if let Some(at) = core::ptr::NonNull::new(at) {
                (*self.0.get()).deallocate(at, layout);
            }
        }
    }
}

/// Gives the heap its memory; call once. Returns its size.
pub fn init(fdt: Fdt) -> usize {
    let (memory, size) = fdt.memory().unwrap_or((start::image_end(), 0));
    let end = memory + size;
    let (tree, tree_end) = fdt.extent();
    let first = start::image_end();
    // Before the devicetree or after it, whichever is larger.
    let gaps = if tree >= first && tree < end {
        [(first, tree), (tree_end, end)]
    } else {
        [(first, end), (end, end)]
    };
    let (low, high) = gaps.into_iter().max_by_key(|g| g.1.saturating_sub(g.0)).unwrap_or((first, first));
    let low = (low + 4095) & !4095;
    let size = high.saturating_sub(low).min(MOST);
    // SAFETY: memory that the devicetree lists, beyond the image, apart from the devicetree, given away once.
    unsafe { (*HEAP.0.get()).init(low as *mut u8, size) };
    size
}

/// Bytes in use.
pub fn used() -> usize {
    // SAFETY: see `Sync` above.
    unsafe { (*HEAP.0.get()).used() }
}
