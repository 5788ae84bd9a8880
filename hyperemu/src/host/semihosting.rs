//! Semihosting: what a guest asks of the host by the semihosting sequence.
//!
//! Follows "Semihosting for AArch32 and AArch64" (Arm IHI 0083, release 3.0) for Arm M-profile, and the RISC-V Semihosting
//! Specification 1.0 for RISC-V. Time is virtual. Files are those of one directory that the user names, and of nothing
//! below links that lead out of it; without one, only `:tt`, the console, can be opened.
//!
//! Left out: SYS_SYSTEM, which always fails, and input from the console by SYS_READ and SYS_READC before it was typed: they
//! say that there is nothing.

use crate::machine::{Cpu, Machine};
use cpu_core::{GuestMemory, Time};
use devices_core::{Ctx, HostOutput};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

/// What a call leads to beyond its result.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The guest goes on.
    Continue,
    /// It has ended, with this status.
    Exit(u32),
}

/// An open handle.
enum Handle {
    Console,
    /// The features file, `:semihosting-features`, and where it is read.
    Features(usize),
    File(File),
}

/// The host's side of semihosting.
pub struct Semihosting {
    folder: Option<OwnedFd>,
    handles: Vec<Option<Handle>>,
    errno: u32,
    command_line: String,
    /// What was typed on the console, for who asks for it here.
    pub typed: VecDeque<u8>,
}

/// Names of the operations.
mod sys {
    pub const OPEN: u64 = 0x01;
    pub const CLOSE: u64 = 0x02;
    pub const WRITEC: u64 = 0x03;
    pub const WRITE0: u64 = 0x04;
    pub const WRITE: u64 = 0x05;
    pub const READ: u64 = 0x06;
    pub const READC: u64 = 0x07;
    pub const ISERROR: u64 = 0x08;
    pub const ISTTY: u64 = 0x09;
    pub const SEEK: u64 = 0x0a;
    pub const FLEN: u64 = 0x0c;
    pub const TMPNAM: u64 = 0x0d;
    pub const REMOVE: u64 = 0x0e;
    pub const RENAME: u64 = 0x0f;
    pub const CLOCK: u64 = 0x10;
    pub const TIME: u64 = 0x11;
    pub const ERRNO: u64 = 0x13;
    pub const GET_CMDLINE: u64 = 0x15;
    pub const HEAPINFO: u64 = 0x16;
    pub const EXIT: u64 = 0x18;
    pub const EXIT_EXTENDED: u64 = 0x20;
    pub const ELAPSED: u64 = 0x30;
    pub const TICKFREQ: u64 = 0x31;
}

const APPLICATION_EXIT: u64 = 0x2_0026;
const EBADF: u32 = 9;
const EINVAL: u32 = 22;
const ENOENT: u32 = 2;
const MAX_HANDLES: usize = 64;
const MAX_TEXT: usize = 1 << 20;
/// SYS_EXIT_EXTENDED, and standard output and error apart.
const FEATURES: &[u8] = b"SHFB\x03";
/// What SYS_TIME counts from: 2025-01-01, as no clock of the host may be seen.
const EPOCH: u64 = 1_735_689_600;
const FAILED: u64 = u64::MAX;

/// What a call may reach.
struct Call<'a> {
    machine: &'a mut Machine,
    /// Bytes of a field of the parameter block.
    word: usize,
    parameter: u64,
    now: Time,
}

impl Call<'_> {
    fn memory(&self) -> &GuestMemory {
        &self.machine.bus.services.memory
    }

    fn field(&self, index: u64) -> Option<u64> {
        let at = self.parameter.checked_add(index * self.word as u64)?;
        self.memory().read_le(at, self.word).ok()
    }

    fn bytes(&self, at: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).ok().filter(|length| *length <= MAX_TEXT)?];
        self.memory().read(at, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Text whose address and length are in these fields.
    fn text(&self, address: u64, length: u64) -> Option<String> {
        let bytes = self.bytes(self.field(address)?, self.field(length)?)?;
        String::from_utf8(bytes).ok()
    }

    fn say(&mut self, bytes: Vec<u8>) {
        let ports = self.machine.ports(devices_core::Port::Serial);
        let console = self.machine.stdout.or(ports.first().copied());
        if let Some(console) = console.filter(|_| !bytes.is_empty()) {
            Ctx::new(console, self.now, &mut self.machine.bus.services).output(HostOutput::Serial(bytes));
        }
    }
}

impl Semihosting {
    /// With the files of `folder`. Errors if that is no directory.
    pub fn new(folder: Option<&Path>, command_line: String) -> Result<Semihosting, String> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let open = |path: &Path| {
            let opened = rustix::fs::open(path, flags, Mode::empty());
            opened.map_err(|error| format!("--semihosting={}: {error}", path.display()))
        };
        let folder = folder.map(open).transpose()?;
        Ok(Semihosting { folder, handles: Vec::new(), errno: 0, command_line, typed: VecDeque::new() })
    }

    /// Carries out the call that core `index` has made.
    pub fn call(&mut self, machine: &mut Machine, index: usize) -> Outcome {
        let Some(cpu) = machine.cores.get(index) else { return Outcome::Continue };
        let (operation, parameter, word) = match cpu {
            Cpu::RiscV(hart) => (hart.x(10), hart.x(11), hart.config().xlen as usize / 8),
            Cpu::Arm(core) => (core.r(0).into(), core.r(1).into(), 4),
        };
        let now = machine.schedule.local.get(index).copied().unwrap_or_default();
        let mut call = Call { machine, word, parameter, now };
        if let Some(status) = exit(&call, operation) {
            return Outcome::Exit(status);
        }
        let result = self.perform(&mut call, operation).unwrap_or_else(|| {
            self.errno = EINVAL;
            FAILED
        });
        match machine.cores.get_mut(index) {
            Some(Cpu::RiscV(hart)) => hart.set_x(10, result),
            Some(Cpu::Arm(core)) => core.set_r(0, result as u32),
            None => {}
        }
        Outcome::Continue
    }

    /// The result; `None` if the parameters make no sense.
    fn perform(&mut self, call: &mut Call, operation: u64) -> Option<u64> {
        Some(match operation {
            sys::OPEN => self.open(&call.text(0, 2)?, call.field(1)?),
            sys::CLOSE => {
                self.slot(call.field(0)?).and_then(Option::take).map_or_else(|| self.fail(EBADF), |_| 0)
            }
            sys::WRITEC => {
                let byte = call.bytes(call.parameter, 1)?;
                call.say(byte);
                0
            }
            sys::WRITE0 => {
                let mut text = Vec::new();
                while let Some([byte @ 1..=255]) =
                    call.bytes(call.parameter + text.len() as u64, 1).as_deref()
                    && text.len() < MAX_TEXT
                {
                    text.push(*byte);
                }
                call.say(text);
                0
            }
            sys::WRITE => return self.write(call),
            sys::READ => return self.read(call),
            sys::READC => self.typed.pop_front().map_or(FAILED, u64::from),
            sys::ISERROR => u64::from((call.field(0)? as i32) < 0),
            sys::ISTTY => u64::from(matches!(self.slot(call.field(0)?), Some(Some(Handle::Console)))),
            sys::SEEK => {
                let at = call.field(1)?;
                match self.slot(call.field(0)?) {
                    Some(Some(Handle::File(file))) => file.seek(SeekFrom::Start(at)).map_or(FAILED, |_| 0),
                    Some(Some(Handle::Features(offset))) => {
                        *offset = (at as usize).min(FEATURES.len());
                        0
                    }
                    _ => self.fail(EBADF),
                }
            }
            sys::FLEN => match self.slot(call.field(0)?) {
                Some(Some(Handle::File(file))) => file.metadata().map_or(FAILED, |meta| meta.len()),
                Some(Some(Handle::Features(_))) => FEATURES.len() as u64,
                Some(Some(Handle::Console)) => 0,
                _ => self.fail(EBADF),
            },
            sys::TMPNAM => {
                let name = format!("tmp{:03}\0", call.field(1)? & 0xff);
                let room = call.field(2)?;
                match room >= name.len() as u64 {
                    true => call.memory().write(call.field(0)?, name.as_bytes()).map_or(FAILED, |()| 0),
                    false => FAILED,
                }
            }
            sys::REMOVE => self.in_folder(|folder| {
                rustix::fs::unlinkat(folder, plain(&call.text(0, 1)?)?, rustix::fs::AtFlags::empty()).ok()
            }),
            sys::RENAME => self.in_folder(|folder| {
                let (from, to) = (call.text(0, 1)?, call.text(2, 3)?);
                rustix::fs::renameat(folder, plain(&from)?, folder, plain(&to)?).ok()
            }),
            sys::CLOCK => call.now.ticks(100),
            sys::TIME => EPOCH + call.now.ticks(1),
            sys::ERRNO => self.errno.into(),
            sys::GET_CMDLINE => {
                let line = format!("{}\0", self.command_line);
                if call.field(1)? < line.len() as u64 {
                    return Some(FAILED);
                }
                call.memory().write(call.field(0)?, line.as_bytes()).ok()?;
                let length = (line.len() as u64 - 1).to_le_bytes();
                let at = call.parameter.checked_add(call.word as u64)?;
                call.memory().write(at, length.get(..call.word)?).map_or(FAILED, |()| 0)
            }
            // Zeroes: the program's own idea of heap and stack is as good.
            sys::HEAPINFO => {
                call.memory().write(call.field(0)?, &vec![0; 4 * call.word]).map_or(FAILED, |()| 0)
            }
            sys::ELAPSED => {
                call.memory().write(call.parameter, &call.now.as_ns().to_le_bytes()).map_or(FAILED, |()| 0)
            }
            sys::TICKFREQ => 1_000_000_000,
            _ => FAILED,
        })
    }

    fn fail(&mut self, errno: u32) -> u64 {
        self.errno = errno;
        FAILED
    }

    /// Handles count from 1.
    fn slot(&mut self, handle: u64) -> Option<&mut Option<Handle>> {
        self.handles.get_mut(usize::try_from(handle).ok()?.checked_sub(1)?)
    }

    fn open(&mut self, name: &str, mode: u64) -> u64 {
        let handle = match name {
            ":tt" => Some(Handle::Console),
            ":semihosting-features" => Some(Handle::Features(0)),
            _ => self.open_file(name, mode).map(Handle::File),
        };
        let free = self.handles.iter().position(Option::is_none).unwrap_or(self.handles.len());
        if handle.is_none() || free >= MAX_HANDLES {
            return self.fail(ENOENT);
        }
        if free == self.handles.len() {
            self.handles.push(None);
        }
        if let Some(slot) = self.handles.get_mut(free) {
            *slot = handle;
        }
        free as u64 + 1
    }

    /// Modes are those of C's `fopen`: r, r+, w, w+, a, a+, each with and without b.
    fn open_file(&self, name: &str, mode: u64) -> Option<File> {
        let create = OFlags::CREATE;
        let flags = match mode >> 1 {
            0 => OFlags::RDONLY,
            1 => OFlags::RDWR,
            2 => OFlags::WRONLY | create | OFlags::TRUNC,
            3 => OFlags::RDWR | create | OFlags::TRUNC,
            4 => OFlags::WRONLY | create | OFlags::APPEND,
            5 => OFlags::RDWR | create | OFlags::APPEND,
            _ => return None,
        };
        let permissions = if flags.contains(create) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
        // The kernel keeps the path inside the folder, links and all; a pipe must not hold the machine up.
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let opened = openat2(self.folder.as_ref()?, name, flags, permissions, inside).ok()?;
        let file = File::from(opened);
        file.metadata().is_ok_and(|meta| meta.is_file()).then_some(file)
    }

    fn in_folder(&mut self, f: impl FnOnce(&OwnedFd) -> Option<()>) -> u64 {
        match self.folder.as_ref().and_then(f) {
            Some(()) => 0,
            None => self.fail(ENOENT),
        }
    }

    /// The number of bytes that were not written.
    fn write(&mut self, call: &mut Call) -> Option<u64> {
        let (handle, at, length) = (call.field(0)?, call.field(1)?, call.field(2)?);
        let bytes = call.bytes(at, length)?;
        match self.slot(handle) {
            Some(Some(Handle::Console)) => call.say(bytes),
            Some(Some(Handle::File(file))) => {
                return Some(file.write_all(&bytes).map_or(length, |()| 0));
            }
            _ => {
                self.errno = EBADF;
                return Some(length);
            }
        }
        Some(0)
    }

    /// The number of bytes that were not read.
    fn read(&mut self, call: &mut Call) -> Option<u64> {
        let (handle, at, length) = (call.field(0)?, call.field(1)?, call.field(2)?);
        let mut bytes = vec![0; usize::try_from(length).ok().filter(|length| *length <= MAX_TEXT)?];
        let mut typed = std::mem::take(&mut self.typed);
        let count = match self.slot(handle) {
            Some(Some(Handle::Console)) => typed.read(&mut bytes).unwrap_or(0),
            Some(Some(Handle::File(file))) => file.read(&mut bytes).unwrap_or(0),
            Some(Some(Handle::Features(offset))) => {
                let rest = FEATURES.get(*offset..).unwrap_or_default();
                let count = rest.len().min(bytes.len());
                bytes.get_mut(..count)?.copy_from_slice(rest.get(..count)?);
                *offset += count;
                count
            }
            _ => {
                self.errno = EBADF;
                0
            }
        };
        self.typed = typed;
        call.memory().write(at, bytes.get(..count)?).ok()?;
        Some(length - count as u64)
    }
}

/// The status with which the guest ends, if it does.
fn exit(call: &Call, operation: u64) -> Option<u32> {
    let (reason, code) = match operation {
        // In 32 bits, the parameter is the reason itself.
        sys::EXIT if call.word == 4 => (call.parameter, 0),
        sys::EXIT | sys::EXIT_EXTENDED => (call.field(0)?, call.field(1)?),
        _ => return None,
    };
    Some(if reason == APPLICATION_EXIT { code as u32 } else { 1 })
}

/// A name in the folder itself.
fn plain(name: &str) -> Option<&str> {
    (!name.is_empty() && !name.contains(['/', '\0']) && name != "..").then_some(name)
}
