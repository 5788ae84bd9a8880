//! NS16550A UART: polled output, interrupts for input (TL16C550C data sheet).

use mmio::Regs;

const DATA: usize = 0;
const INTERRUPT_ENABLE: usize = 1;
const FIFO_CONTROL: usize = 2;
const LINE_STATUS: usize = 5;

/// A UART and the distance between its registers as a power of two.
pub struct Uart {
    regs: Regs,
    shift: usize,
}

impl Uart {
    /// The UART whose registers begin at `base`, as the devicetree says.
    #[allow(unsafe_code, reason = "an address becomes registers")]
    pub fn at(base: usize, shift: usize) -> Self {
        // SAFETY: the devicetree names this address an ns16550a.
        Self { regs: unsafe { Regs::new(base) }, shift }
    }

    pub fn base(&self) -> usize {
        self.regs.base()
    }

    pub fn shift(&self) -> usize {
        self.shift
    }

    /// Turns the FIFOs on and asks for an interrupt when a byte arrives. Line settings stay the firmware's.
    pub fn listen(&self) {
        self.regs.write8(FIFO_CONTROL << self.shift, 0x01);
        self.regs.write8(INTERRUPT_ENABLE << self.shift, 0x01);
    }

    /// Sends a byte once the transmitter has room.
    pub fn send(&self, byte: u8) {
        while self.regs.read8(LINE_STATUS << self.shift) & 0x20 == 0 {}
        self.regs.write8(DATA << self.shift, byte);
    }

    /// The next byte received.
    pub fn receive(&self) -> Option<u8> {
        (self.regs.read8(LINE_STATUS << self.shift) & 0x01 != 0).then(|| self.regs.read8(DATA << self.shift))
    }
}
