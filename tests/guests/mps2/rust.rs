//! A Rust program for the board mps2-an386, without any crate: what `core` prints of numbers, and a timer's interrupts.
#![no_std]
#![no_main]

use core::fmt::{self, Write};
use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{AtomicU32, Ordering};

const UART: *mut u32 = 0x4000_4000 as *mut u32;
const TIMER: *mut u32 = 0x4000_0000 as *mut u32;
const NVIC_ISER: *mut u32 = 0xe000_e100 as *mut u32;
const CPACR: *mut u32 = 0xe000_ed88 as *mut u32;

static TICKS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" {
    static __stack: u32;
}

#[repr(C)]
union Vector {
    handler: unsafe extern "C" fn(),
    stack: *const u32,
    none: usize,
}

unsafe impl Sync for Vector {}

const NONE: Vector = Vector { none: 0 };
const FAULT: Vector = Vector { handler: fault };

#[unsafe(link_section = ".vectors")]
#[used]
static VECTORS: [Vector; 25] = [
    Vector { stack: &raw const __stack },
    Vector { handler: start },
    FAULT, FAULT, FAULT, FAULT, FAULT,
    NONE, NONE, NONE, NONE,
    FAULT, FAULT, NONE, FAULT, FAULT,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    Vector { handler: tick },
];

struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            unsafe { write_volatile(UART, byte.into()) };
        }
        Ok(())
    }
}

unsafe extern "C" fn tick() {
    unsafe { write_volatile(TIMER.add(3), 1) };
    TICKS.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn fault() {
    let _ = writeln!(Uart, "fault");
    loop {}
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let _ = writeln!(Uart, "{info}");
    loop {}
}

/// Primes below `N` by a sieve.
fn primes<const N: usize>() -> impl Iterator<Item = usize> {
    let mut composite = [false; N];
    for n in 2..N {
        if !composite[n] {
            (n * n..N).step_by(n).for_each(|multiple| composite[multiple] = true);
        }
    }
    (2..N).filter(move |n| !composite[*n])
}

#[derive(Debug)]
#[allow(dead_code)]
struct Point {
    x: f32,
    y: f64,
    name: Option<&'static str>,
}

unsafe extern "C" fn start() {
    unsafe {
        write_volatile(CPACR, 0xf << 20);
        core::arch::asm!("dsb", "isb");
        write_volatile(UART.add(4), 16);
        write_volatile(UART.add(2), 1);
    }
    let _ = run();
    loop {
        unsafe { core::arch::asm!("wfi") };
    }
}

fn run() -> fmt::Result {
    let mut out = Uart;
    writeln!(out, "Rust on mps2-an386")?;
    writeln!(out, "{} primes, the last {:?}", primes::<2000>().count(), primes::<2000>().last())?;
    let point = Point { x: 1.0 / 3.0, y: core::f64::consts::PI * 1e10, name: Some("origin") };
    writeln!(out, "{point:?} {:e} {:.3}", f32::MIN_POSITIVE, -2.5f64)?;
    writeln!(out, "{point:#?}")?;
    let big = 0x0123_4567_89ab_cdefu64;
    writeln!(out, "{:#x} {} {:?}", big.rotate_left(20), big.leading_zeros(), u64::MAX.checked_add(1))?;
    writeln!(out, "{:?}", "-12345".parse::<i16>().map(|n| n.saturating_mul(3)))?;
    unsafe {
        write_volatile(TIMER.add(2), 2499);
        write_volatile(TIMER.add(1), 2499);
        write_volatile(NVIC_ISER, 1 << 8);
        write_volatile(TIMER, 1 | 1 << 3);
    }
    while TICKS.load(Ordering::Relaxed) < 10 {
        unsafe { core::arch::asm!("wfi") };
    }
    unsafe { write_volatile(TIMER, 0) };
    assert_eq!(unsafe { read_volatile(TIMER) }, 0);
    writeln!(out, "ten ticks\nrust: done")
}
