//! The heap that views and glyphs are built in.
#![allow(unsafe_code, reason = "a global allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use linked_list_allocator::Heap;

const SIZE: usize = 29 << 10;

struct ThreadOnly(UnsafeCell<Heap>);

// SAFETY: only thread mode allocates; what runs in interrupts (the display's task, wakers) does not.
unsafe impl Sync for ThreadOnly {}

#[global_allocator]
static HEAP: ThreadOnly = ThreadOnly(UnsafeCell::new(Heap::empty()));

// SAFETY: forwards to an allocator, which upholds the contract; exclusive by the reason above.
unsafe impl GlobalAlloc for ThreadOnly {
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

struct Memory(UnsafeCell<MaybeUninit<[u8; SIZE]>>);

// SAFETY: given to the heap once and touched by nothing else.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new(MaybeUninit::uninit()));

/// Gives the heap its memory; call once.
pub fn init() {
    // SAFETY: the memory is used by nothing else.
    unsafe { (*HEAP.0.get()).init(MEMORY.0.get().cast(), SIZE) };
}

/// Bytes in use, and all of them.
pub fn used() -> (usize, usize) {
    // SAFETY: see `Sync` above.
    unsafe { ((*HEAP.0.get()).used(), SIZE) }
}
