//! Code memory: one memfd mapped twice, once to write and once to execute, so that no page is ever both.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

/// A range of host memory for code. Addresses given out are those of the executable mapping.
pub struct CodeMemory {
    write: NonNull<u8>,
    execute: NonNull<u8>,
    size: usize,
}

// SAFETY: the mappings belong to this value alone and are usable from any thread.
unsafe impl Send for CodeMemory {}

impl CodeMemory {
    /// Maps `size` bytes (rounded up to pages).
    pub fn new(size: usize) -> Result<CodeMemory, Errno> {
        let size = size.next_multiple_of(4096);
        let fd = rustix::fs::memfd_create(c"compiled-code", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&fd, size as u64)?;
        let map = |protection| {
            // SAFETY: a fresh shared mapping at an address of the kernel's choice.
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), size, protection, MapFlags::SHARED, &fd, 0) }
        };
        let pointer = |at: *mut std::ffi::c_void| NonNull::new(at.cast::<u8>()).ok_or(Errno::NOMEM);
        let write = pointer(map(ProtFlags::READ | ProtFlags::WRITE)?)?;
        let execute = match map(ProtFlags::READ | ProtFlags::EXEC).and_then(pointer) {
            Ok(execute) => execute,
            Err(error) => {
                // SAFETY: just mapped, and not used after this.
                let _ = unsafe { rustix::mm::munmap(write.as_ptr().cast(), size) };
                return Err(error);
            }
        };
        Ok(CodeMemory { write, execute, size })
    }

    /// Bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Address at which the byte at `offset` executes.
    pub fn address(&self, offset: usize) -> u64 {
        self.execute.as_ptr() as u64 + offset as u64
    }

    /// The offset of an executable address.
    pub fn offset(&self, address: u64) -> usize {
        address.wrapping_sub(self.execute.as_ptr() as u64) as usize
    }

    /// Writes `bytes` at `offset`. Panics if they do not fit: the caller counts.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset <= self.size && bytes.len() <= self.size - offset, "code does not fit");
        // SAFETY: the range was just checked; no reference into the mapping exists.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.write.as_ptr().add(offset), bytes.len()) }
    }

    /// Overwrites code that exists, from inside a signal that interrupted it. Out of range, nothing happens.
    pub fn patch(&self, offset: usize, bytes: &[u8; 5]) {
        if offset <= self.size - bytes.len() {
            // SAFETY: the range was just checked; no reference into the mapping exists, and the only thread that runs the code or
            // writes to it is the interrupted one.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.write.as_ptr().add(offset), bytes.len());
            }
        }
    }

    /// A copy of `len` bytes at `offset`, fewer at the end.
    #[cfg(feature = "dump")]
    pub fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        let len = len.min(self.size.saturating_sub(offset));
        let mut bytes = vec![0; len];
        if len > 0 {
            // SAFETY: the range lies inside the mapping; the destination is fresh.
            unsafe {
                std::ptr::copy_nonoverlapping(self.write.as_ptr().add(offset), bytes.as_mut_ptr(), len);
            }
        }
        bytes
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        for mapping in [self.write, self.execute] {
            // SAFETY: mapped by `new` with this size and not used after this.
            let _ = unsafe { rustix::mm::munmap(mapping.as_ptr().cast(), self.size) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rights of the mapping that holds an address, as the host's kernel lists them.
    fn rights(address: u64) -> Option<String> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            (number(from)? <= address && address < number(to)?).then(|| rest[..4].to_owned())
        })
    }

    #[test]
    fn code_is_never_writable_where_it_executes() {
        let memory = CodeMemory::new(5000).unwrap();
        assert_eq!(memory.size(), 8192);
        assert_eq!(rights(memory.address(0)).as_deref(), Some("r-xs"));
        assert_eq!(rights(memory.address(8191)).as_deref(), Some("r-xs"));
        assert_eq!(rights(memory.write.as_ptr() as u64).as_deref(), Some("rw-s"));
    }

    #[test]
    fn what_is_written_executes() {
        let mut memory = CodeMemory::new(4096).unwrap();
        // mov eax, 42; ret
        memory.write(0x100, &[0xb8, 42, 0, 0, 0, 0xc3]);
        assert_eq!(memory.offset(memory.address(0x100)), 0x100);
        // SAFETY: the address is that of the function just written.
        let function = unsafe { std::mem::transmute::<u64, extern "C" fn() -> u32>(memory.address(0x100)) };
        assert_eq!(function(), 42);
        memory.write(0x101, &[7]);
        assert_eq!(function(), 7);
    }

    #[test]
    #[should_panic(expected = "code does not fit")]
    fn code_behind_the_end_is_refused() {
        CodeMemory::new(4096).unwrap().write(4090, &[0; 7]);
    }
}
