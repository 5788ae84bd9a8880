//! Loads and stores of compiled code that the host's MMU refuses: they go on in the cold part of their block.
//!
//! Compiled code that reaches guest memory in a [`cpu_core::Window`] makes no check: what is no memory there, or must not be
//! written, raises SIGSEGV. The handler looks up the instruction that did, and leads the thread to the code beside it that
//! takes the slow way. An instruction that faults again and again (it drives a device, say) is overwritten by a jump there.
//!
//! The handler acts on nothing but addresses of compiled code that the same thread is running; all other faults go to
//! whoever handled them before.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use cpu_core::blocks::AddressHasher;

use crate::memory::CodeMemory;

/// Faults of one instruction after which it becomes a jump.
const PATIENCE: u32 = 2;
/// Bytes of a jump. Every access with a window's displacement is at least as long.
pub const JUMP: usize = 5;

struct Site {
    /// Offset of the code that takes the slow way.
    cold: u32,
    faults: Cell<u32>,
}

/// The accesses of all code in a code memory, by offset of the instruction.
#[derive(Default)]
pub struct Faults {
    sites: HashMap<u64, Site, BuildHasherDefault<AddressHasher>>,
}

impl Faults {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.sites.clear();
    }

    /// The access at offset `hot` goes on at offset `cold` where it faults.
    pub fn add(&mut self, hot: usize, cold: usize) {
        self.sites.insert(hot as u64, Site { cold: cold as u32, faults: Cell::new(0) });
    }

    /// Calls `f`, which runs compiled code in `memory`.
    #[inline]
    pub fn guard<R>(&self, memory: &CodeMemory, f: impl FnOnce() -> R) -> R {
        if self.sites.is_empty() {
            return f();
        }
        RUNNING.set((self, memory));
        let result = f();
        RUNNING.set((std::ptr::null(), std::ptr::null()));
        result
    }

    /// Where a fault at `address` goes on.
    fn answer(&self, memory: &CodeMemory, address: u64) -> Option<u64> {
        let hot = memory.offset(address);
        let site = self.sites.get(&(hot as u64))?;
        let cold = memory.address(site.cold as usize);
        site.faults.set(site.faults.get() + 1);
        if site.faults.get() == PATIENCE {
            let mut jump = [0xe9, 0, 0, 0, 0];
            let displacement = cold.wrapping_sub(address + JUMP as u64) as i32;
            jump[1..].copy_from_slice(&displacement.to_le_bytes());
            // The return from the signal handler serialises, so that the thread does not run what was there before.
            memory.patch(hot, &jump);
        }
        Some(cold)
    }
}

thread_local! {
    /// What this thread is running.
    static RUNNING: Cell<(*const Faults, *const CodeMemory)> =
        const { Cell::new((std::ptr::null(), std::ptr::null())) };
}

/// Who handled faults before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Makes faults of compiled code go to [`Faults`]. False where the host refuses. Later calls do nothing.
pub fn install() -> bool {
    static DONE: OnceLock<bool> = OnceLock::new();
    *DONE.get_or_init(|| {
        let mut before = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: zeros are a valid `sigaction`; `handle` has the type that SA_SIGINFO asks for and calls nothing that a signal
        // handler must not. The handler before is known before the new one can run.
        unsafe {
            if libc::sigaction(libc::SIGSEGV, std::ptr::null(), before.as_mut_ptr()) != 0 {
                return false;
            }
            let _ = BEFORE.set(before.assume_init());
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()) == 0
        }
    })
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    const RIP: usize = libc::REG_RIP as usize;
    // SAFETY: with SA_SIGINFO the kernel passes a `ucontext_t`.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let (faults, memory) = RUNNING.get();
    if !faults.is_null() {
        // SAFETY: `guard` borrows both for as long as the pointers are set. The fault is one of compiled code's own loads and
        // stores or of a helper; neither has the table borrowed for a change.
        let (faults, memory) = unsafe { (&*faults, &*memory) };
        if let Some(on) = faults.answer(memory, registers[RIP] as u64) {
            registers[RIP] = on as i64;
            return;
        }
    }
    // SAFETY: as for this handler.
    unsafe { pass_on(signal, info, context) }
}

#[cfg(not(target_arch = "x86_64"))]
unsafe extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as for this handler.
    unsafe { pass_on(signal, info, context) }
}

/// Does what would have been done without us.
///
/// # Safety
/// The arguments are those of a signal handler.
#[cold]
#[inline(never)]
unsafe fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type Action = unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
    type Handler = unsafe extern "C" fn(i32);
    let Some(before) = BEFORE.get() else { return };
    // SAFETY: the handler was installed with these flags by somebody who vouches for its type.
    unsafe {
        match before.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                // The instruction faults again, and the default action ends the process.
                libc::signal(signal, libc::SIG_DFL);
            }
            handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
                std::mem::transmute::<usize, Action>(handler)(signal, info, context);
            }
            handler => std::mem::transmute::<usize, Handler>(handler)(signal),
        }
    }
}
