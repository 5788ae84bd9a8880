//! SiFive SPI controller, with or without the flash interface.
//!
//! Follows the FE310-G002 manual v1p5, chapter 19, and SiFive's sources (sifive-blocks, `devices/spi`) for when the
//! chip select is released and for what a full FIFO loses. A second entry of `reg` is the window of the flash
//! interface: guest memory that holds the content of the flash chip at chip select 0. While `fctrl.en` is set, as
//! after reset, it is read and executed directly and the FIFOs stand still; while it is clear, the window reads as
//! zero. What lies in the window past the end of the chip reads as zero.
//!
//! A frame takes virtual time: a byte at one, two or four bits a cycle of the serial clock. The clock is the node's
//! `clock-frequency`, or 16 MHz as after the FE310's boot: what the guest sets up in the PRCI does not reach this
//! model. There are `num-cs` chip selects, or 4 (1 with a window).
//!
//! Left out: frames of other than eight bits, the delays, the clock's phase and polarity, an inverted `csdef`, and
//! the format of the window's reads in `ffmt` (the window shows the chip whatever it says); these registers are kept.

use devices_core::regs::Bank;
use devices_core::spi::SpiBus;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlSpec, ControlValue, Ctx, Device, Display,
    Field, GuestMemory, HostInput, Model, Port, RestoreError, Time, Width, Widths, register_bank, state,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["sifive,spi0", "sifive,fe310-g002-spi", "sifive,fu540-c000-spi", "sifive,fu740-c000-spi"],
    summary: "SiFive SPI controller",
    rom: &[1],
    ram: &[],
    build,
};

const FIFO: usize = 8;
/// Of `txdata` and `rxdata`: full, empty.
const FLAG: u32 = 1 << 31;
const TXWM: u32 = 1;
const RXWM: u32 = 2;
/// Of `fmt`: least significant bit first; nothing is received.
const LSB_FIRST: u32 = 1 << 2;
const TRANSMIT_ONLY: u32 = 1 << 3;
const FLASH_ENABLE: u32 = 1;

/// Values of `csmode`.
mod csmode {
    pub const HOLD: u32 = 2;
    pub const OFF: u32 = 3;
}

register_bank! {
    /// The registers, as a controller without flash interface resets them.
    enum Register {
        SckDiv = 0x00, rw(0xfff), reset 3;
        SckMode = 0x04, rw(0x3), reset 0, { pha: 0, pol: 1 };
        CsId = 0x10, rw(u32::MAX), reset 0;
        CsDef = 0x14, rw(u32::MAX), reset u32::MAX;
        CsMode = 0x18, rw(0x3), reset 0;
        Delay0 = 0x28, rw(0x00ff_00ff), reset 0x0001_0001, { cssck: 0 .. 8, sckcs: 16 .. 24 };
        Delay1 = 0x2c, rw(0x00ff_00ff), reset 0x0000_0001, { intercs: 0 .. 8, interxfr: 16 .. 24 };
        Fmt = 0x40, rw(0x000f_000f), reset 0x0008_0000, { proto: 0 .. 2, endian: 2, dir: 3, len: 16 .. 20 };
        TxData = 0x48, wo(0xff), reset 0, { data: 0 .. 8, full: 31 };
        RxData = 0x4c, ro, reset 0, { data: 0 .. 8, empty: 31 };
        TxMark = 0x50, rw(0x7), reset 0;
        RxMark = 0x54, rw(0x7), reset 0;
        FCtrl = 0x60, rw(0x1), reset 1, { en: 0 };
        FFmt = 0x64, rw(0xffff_3fff), reset 0x0003_0007,
            { cmd_en: 0, addr_len: 1 .. 4, pad_cnt: 4 .. 8, cmd_proto: 8 .. 10, addr_proto: 10 .. 12,
              data_proto: 12 .. 14, cmd_code: 16 .. 24, pad_code: 24 .. 32 };
        Ie = 0x70, rw(0x3), reset 0, { txwm: 0, rxwm: 1 };
        Ip = 0x74, ro, reset 0, { txwm: 0, rxwm: 1 };
    }
}

use Register::*;

/// The block without its surroundings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spi {
    bank: Bank<Register>,
    to_send: VecDeque<u8>,
    received: VecDeque<u8>,
    /// On the wires.
    shifting: Option<u8>,
    /// It has a flash interface.
    flash: bool,
    selects: u32,
}

impl Spi {
    /// After reset.
    pub fn new(flash: bool, selects: u32) -> Spi {
        let mut bank = Bank::default();
        if flash {
            bank[Fmt] |= TRANSMIT_ONLY;
            bank[TxMark] = 1;
        }
        let selects = selects.clamp(1, 32);
        bank[CsDef] = u32::MAX >> (32 - selects);
        Spi { bank, to_send: VecDeque::new(), received: VecDeque::new(), shifting: None, flash, selects }
    }

    fn at(&self, offset: u64) -> Option<Register> {
        self.bank.at(offset).filter(|register| self.flash || !matches!(register, FCtrl | FFmt))
    }

    fn pending(&self) -> u32 {
        let below = self.to_send.len() < self.bank[TxMark] as usize;
        let above = self.received.len() > self.bank[RxMark] as usize;
        (u32::from(below) * TXWM) | (u32::from(above) * RXWM)
    }

    /// Level of the interrupt output.
    pub fn interrupt(&self) -> bool {
        self.pending() & self.bank[Ie] != 0
    }

    /// Whether the flash interface has the wires.
    pub fn flash_enabled(&self) -> bool {
        self.flash && self.bank[FCtrl] & FLASH_ENABLE != 0
    }

    /// How long a frame takes with a clock of `hz`.
    pub fn frame_time(&self, hz: u64) -> Time {
        let bits_a_cycle = 1 << (self.bank[Fmt] & 3).min(2);
        Time::of_tick(8 / bits_a_cycle * 2 * (u64::from(self.bank[SckDiv]) + 1), hz)
    }

    /// Puts the next frame on the wires, if they are free; whether it did.
    fn begin(&mut self) -> bool {
        if self.shifting.is_some() || self.flash_enabled() {
            return false;
        }
        self.shifting = self.to_send.pop_front();
        self.shifting.is_some()
    }

    /// The frame is over: the chip sees it, and answers.
    fn finish(&mut self, ctx: &mut Ctx, bus: &mut SpiBus) {
        let Some(byte) = self.shifting.take() else { return };
        let mode = self.bank[CsMode];
        bus.select(ctx, (mode != csmode::OFF).then_some(self.bank[CsId]));
        let order = |byte: u8| if self.bank[Fmt] & LSB_FIRST != 0 { byte.reverse_bits() } else { byte };
        let answer = order(bus.transfer(ctx, order(byte)));
        if self.bank[Fmt] & TRANSMIT_ONLY == 0 && self.received.len() < FIFO {
            self.received.push_back(answer);
        }
        if mode != csmode::HOLD {
            bus.select(ctx, None);
        }
    }

    fn read(&mut self, register: Register) -> u32 {
        match register {
            TxData => u32::from(self.to_send.len() >= FIFO) * FLAG,
            RxData => self.received.pop_front().map_or(FLAG, u32::from),
            Ip => self.pending(),
            _ => self.bank.read(register),
        }
    }

    /// A write by software; whether the chip select is released.
    fn write(&mut self, register: Register, value: u32) -> bool {
        match register {
            TxData => {
                if self.to_send.len() < FIFO {
                    self.to_send.push_back(value as u8);
                }
                false
            }
            CsDef => {
                let before = self.bank.write(CsDef, value & (u32::MAX >> (32 - self.selects)));
                before != self.bank[CsDef]
            }
            _ => {
                let before = self.bank.write(register, value);
                matches!(register, CsMode | CsId | FCtrl) && before != self.bank[register]
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    spi: Spi,
    selected: Option<usize>,
    chips: Vec<u8>,
}

/// A SiFive SPI controller on the bus, with its chips.
pub struct SifiveSpi {
    spi: Spi,
    /// The chips.
    pub bus: SpiBus,
    clock: u64,
    window: Option<(GuestMemory, u64)>,
}

const TOKEN_FRAME: u32 = 0;

impl SifiveSpi {
    /// With a clock of `hz`, so many chip selects, and perhaps a window at an address of `memory`.
    pub fn new(hz: u64, selects: u32, window: Option<(GuestMemory, u64)>) -> SifiveSpi {
        SifiveSpi { spi: Spi::new(window.is_some(), selects), bus: SpiBus::default(), clock: hz, window }
    }

    /// Lets reads of the window see the flash, or not; whether that changed.
    fn remap(&self) -> bool {
        let Some((memory, base)) = &self.window else { return false };
        let direct = self.spi.flash_enabled();
        let before = memory.region(*base, 1).is_some_and(|region| region.is_direct());
        memory.set_direct(*base, direct);
        before != direct
    }

    fn update(&mut self, ctx: &mut Ctx) {
        if self.spi.begin() {
            ctx.schedule_in(TOKEN_FRAME, self.spi.frame_time(self.clock));
        }
        ctx.set_line(0, self.spi.interrupt());
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let hz = args.node.u32("clock-frequency").unwrap_or(16_000_000);
    if hz == 0 {
        return Err(BuildError::property("clock-frequency", "the clock of a bus can not stand still"));
    }
    let window = args.node.regs().get(1).copied();
    let selects = args.node.u32("num-cs").unwrap_or(if window.is_some() { 1 } else { 4 });
    let place = window.map(|(base, _)| (args.memory.clone(), base));
    let mut device = SifiveSpi::new(hz.into(), selects, place);
    super::attach(args, &mut device.bus.children, window)?;
    Ok(Box::new(device))
}

impl Component for SifiveSpi {
    fn save(&self) -> Vec<u8> {
        let SifiveSpi { spi, bus, clock: _, window: _ } = self;
        state::encode(&State { spi: spi.clone(), selected: bus.selected(), chips: bus.children.save() })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let State { spi, selected, chips } = state::decode(bytes)?;
        if (spi.flash, spi.selects) != (self.spi.flash, self.spi.selects) {
            return Err(RestoreError("another kind of SPI controller".to_string()));
        }
        self.bus.children.restore(&chips)?;
        self.bus.set_selected(selected);
        self.spi = spi;
        self.remap();
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        self.bus.children.controls()
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        self.bus.children.control(name)
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        self.bus.children.set_control(ctx, name, value)
    }

    fn inspect(&self) -> Vec<Field> {
        let mut bank = self.spi.bank.clone();
        bank[TxData] = u32::from(self.spi.to_send.len() >= FIFO) * FLAG;
        bank[RxData] = self.spi.received.front().map_or(FLAG, |byte| u32::from(*byte));
        bank[Ip] = self.spi.pending();
        let mut fields = bank.inspect();
        for (name, queue) in [("transmit FIFO", &self.spi.to_send), ("receive FIFO", &self.spi.received)] {
            fields.push(Field { name: name.to_string(), value: queue.len().to_string() });
        }
        fields.extend(self.bus.children.inspect());
        fields
    }
}

impl Device for SifiveSpi {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.spi = Spi::new(self.spi.flash, self.spi.selects);
        self.bus.reset(ctx);
        self.remap();
        ctx.attention();
        self.update(ctx);
    }

    fn widths(&self, region: usize) -> Widths {
        if region == 0 { Widths::B4 } else { Widths::ANY }
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, width: Width) -> u64 {
        if at.region != 0 {
            let Some((memory, base)) = self.window.as_ref().filter(|_| self.spi.flash_enabled()) else {
                ctx.complain("the flash window was read while the flash interface is off");
                return 0;
            };
            return memory.read_le(base.wrapping_add(at.offset), width.bytes() as usize).unwrap_or(0);
        }
        let Some(register) = self.spi.at(at.offset) else {
            ctx.unimplemented(at.offset, false, "no such register");
            return 0;
        };
        let value = self.spi.read(register);
        self.update(ctx);
        value.into()
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        if at.region != 0 {
            ctx.complain("the flash window was written; flash is programmed by commands");
            return;
        }
        let Some(register) = self.spi.at(at.offset) else {
            ctx.unimplemented(at.offset, true, "no such register");
            return;
        };
        if register == Fmt && value >> 16 & 0xf != 8 {
            ctx.unimplemented(at.offset, true, "SPI frames of other than eight bits");
        }
        if self.spi.write(register, value as u32) {
            self.bus.select(ctx, None);
            if self.remap() {
                ctx.attention();
            }
        }
        self.update(ctx);
    }

    fn line(&mut self, ctx: &mut Ctx, input: u32, level: bool) {
        self.bus.line(ctx, input, level);
    }

    fn ports(&self) -> Vec<Port> {
        self.bus.ports()
    }

    fn host_input(&mut self, ctx: &mut Ctx, input: &HostInput) {
        self.bus.host_input(ctx, input);
    }

    fn display(&self) -> Option<&dyn Display> {
        self.bus.display()
    }

    fn event(&mut self, ctx: &mut Ctx, token: u32) {
        if self.bus.event(ctx, token) {
            return;
        }
        self.spi.finish(ctx, &mut self.bus);
        self.update(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM, bench_memory};
    use devices_core::spi::SpiTarget;

    /// Answers with the byte before, and counts how often it was selected.
    #[derive(Default)]
    struct Loopback {
        last: u8,
        selections: u32,
    }

    impl Component for Loopback {
        fn save(&self) -> Vec<u8> {
            state::encode(&(self.last, self.selections))
        }
        fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
            (self.last, self.selections) = state::decode(bytes)?;
            Ok(())
        }
    }

    impl SpiTarget for Loopback {
        fn reset(&mut self, _ctx: &mut Ctx) {
            *self = Loopback::default();
        }
        fn select(&mut self, _ctx: &mut Ctx, selected: bool) {
            if selected {
                self.selections += 1;
                self.last = self.selections as u8 | 0xf0;
            }
        }
        fn transfer(&mut self, _ctx: &mut Ctx, byte: u8) -> u8 {
            std::mem::replace(&mut self.last, byte)
        }
    }

    const SCKDIV: u64 = 0x00;
    const CSID: u64 = 0x10;
    const CSDEF: u64 = 0x14;
    const CSMODE: u64 = 0x18;
    const FMT: u64 = 0x40;
    const TXDATA: u64 = 0x48;
    const RXDATA: u64 = 0x4c;
    const TXMARK: u64 = 0x50;
    const RXMARK: u64 = 0x54;
    const FCTRL: u64 = 0x60;
    const IE: u64 = 0x70;
    const IP: u64 = 0x74;

    /// At reset the serial clock is 2 MHz: a byte takes 4 us.
    fn bench() -> Bench<SifiveSpi> {
        let mut device = SifiveSpi::new(16_000_000, 4, None);
        device.bus.children.attach(0, "loopback", Box::new(Loopback::default()));
        Bench::new(device)
    }

    fn flash_bench() -> Bench<SifiveSpi> {
        let memory = bench_memory();
        memory.write(RAM, b"code").expect("it is RAM");
        Bench::with_memory(SifiveSpi::new(16_000_000, 1, Some((memory.clone(), RAM))), &memory)
    }

    fn exchange(bench: &mut Bench<SifiveSpi>, bytes: &[u8]) -> Vec<u32> {
        bytes.iter().for_each(|byte| bench.write32(TXDATA, (*byte).into()));
        bench.advance(Time::from_ms(1));
        bytes.iter().map(|_| bench.read32(RXDATA)).collect()
    }

    #[test]
    fn registers_after_reset() {
        let mut bench = bench();
        let offsets =
            [SCKDIV, 4, CSID, CSDEF, CSMODE, 0x28, 0x2c, FMT, TXDATA, RXDATA, TXMARK, RXMARK, IE, IP];
        let values = offsets.map(|offset| bench.read32(offset));
        assert_eq!(values, [3, 0, 0, 15, 0, 0x10001, 1, 0x80000, 0, FLAG, 0, 0, 0, 0]);
        bench.read32(FCTRL);
        assert_eq!(bench.services.unimplemented.len(), 1, "no flash interface");
        // How Linux counts the chip selects.
        bench.write32(CSDEF, u32::MAX);
        assert_eq!(bench.read32(CSDEF), 15);
        let mut flash = flash_bench();
        let values = [CSDEF, FMT, TXMARK, FCTRL, 0x64].map(|offset| flash.read32(offset));
        assert_eq!(values, [1, 0x80008, 1, 1, 0x30007]);
    }

    #[test]
    fn chip_select_modes() {
        let mut bench = bench();
        assert_eq!(exchange(&mut bench, &[1, 2, 3]), [0xf1, 0xf2, 0xf3], "selected for each frame");
        bench.write32(CSMODE, csmode::HOLD);
        assert_eq!(exchange(&mut bench, &[1, 2, 3]), [0xf4, 1, 2], "held");
        assert_eq!(exchange(&mut bench, &[9]), [3]);
        bench.write32(CSMODE, 0);
        assert_eq!(bench.device.bus.selected(), None);
        bench.write32(CSMODE, csmode::OFF);
        assert_eq!(exchange(&mut bench, &[1]), [0xff]);
        bench.write32(CSMODE, csmode::HOLD);
        bench.write32(CSID, 1);
        assert_eq!(exchange(&mut bench, &[1]), [0xff], "nobody there");
    }

    #[test]
    fn frames_take_time_and_fifos_hold_eight() {
        let mut bench = bench();
        (0..12).for_each(|byte| bench.write32(TXDATA, byte));
        assert_eq!(bench.read32(TXDATA), FLAG, "eight wait and one is on the wires");
        bench.advance(Time::from_us(3));
        assert_eq!(bench.read32(RXDATA), FLAG);
        bench.advance(Time::from_us(1));
        assert_eq!((bench.read32(RXDATA), bench.read32(TXDATA)), (0xf1, 0));
        bench.advance(Time::from_us(32));
        assert_eq!((0..9).map(|_| bench.read32(RXDATA)).last(), Some(FLAG), "the full FIFO held eight");
        bench.write32(SCKDIV, 0);
        bench.write32(FMT, 0x80002);
        bench.write32(TXDATA, 0);
        bench.advance(Time(250_000 - 1));
        assert_eq!(bench.read32(RXDATA), FLAG);
        bench.advance(Time(1));
        assert_ne!(bench.read32(RXDATA), FLAG, "two cycles of 8 MHz");
    }

    #[test]
    fn watermarks() {
        let mut bench = bench();
        bench.write32(IE, TXWM);
        assert!(!bench.line(0));
        bench.write32(TXMARK, 1);
        assert_eq!((bench.line(0), bench.read32(IP)), (true, TXWM));
        (0..3).for_each(|byte| bench.write32(TXDATA, byte));
        assert!(!bench.line(0));
        bench.write32(IE, RXWM);
        bench.write32(RXMARK, 1);
        bench.advance(Time::from_us(7));
        assert!(!bench.line(0));
        bench.advance(Time::from_us(1));
        assert!(bench.line(0));
        bench.read32(RXDATA);
        assert!(!bench.line(0));
    }

    #[test]
    fn direction_and_order() {
        let mut bench = bench();
        bench.write32(CSMODE, csmode::HOLD);
        bench.write32(FMT, 0x80008);
        assert_eq!(exchange(&mut bench, &[0x81]), [FLAG], "transmit only");
        bench.write32(FMT, 0x80004);
        assert_eq!(exchange(&mut bench, &[0x01]), [0x81]);
        assert_eq!(exchange(&mut bench, &[0x00]), [0x01]);
        bench.write32(FMT, 0x80000);
        exchange(&mut bench, &[0x0f]);
        bench.write32(FMT, 0x80004);
        assert_eq!(exchange(&mut bench, &[0x00]), [0xf0]);
    }

    #[test]
    fn the_window_is_there_while_the_flash_interface_is_on() {
        let mut bench = flash_bench();
        let read = |bench: &mut Bench<SifiveSpi>| {
            bench.call(|device, ctx| device.read(ctx, At { region: 1, offset: 0 }, Width::B4))
        };
        assert!(bench.services.memory.page(RAM).is_some());
        assert_eq!(read(&mut bench), u64::from(u32::from_le_bytes(*b"code")));
        bench.write32(FMT, 0x80000);
        bench.write32(TXDATA, 1);
        bench.advance(Time::from_ms(1));
        assert_eq!(bench.read32(RXDATA), FLAG, "the FIFOs stand still");
        bench.write32(FCTRL, 0);
        assert!(bench.services.memory.page(RAM).is_none());
        assert_eq!(read(&mut bench), 0);
        bench.advance(Time::from_ms(1));
        assert_eq!(bench.read32(RXDATA), 0xff, "what waited is sent now");
        bench.check_save_restore();
        bench.call(|device, ctx| device.reset(ctx));
        assert!(bench.services.memory.page(RAM).is_some());
    }

    #[test]
    fn reset_and_state() {
        let mut bench = bench();
        bench.write32(CSMODE, csmode::HOLD);
        (0..4).for_each(|byte| bench.write32(TXDATA, byte));
        bench.advance(Time::from_us(9));
        bench.check_save_restore();
        bench.services.events.cancel_all(0);
        bench.call(|device, ctx| device.reset(ctx));
        bench.advance(Time::from_ms(1));
        assert_eq!((bench.read32(RXDATA), bench.read32(CSMODE)), (FLAG, 0));
        let other = flash_bench().device.save();
        assert!(bench.device.restore(&other).is_err());
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = if u.arbitrary()? { bench() } else { flash_bench() };
            bench.torture(&bytes, 0x80);
            let spi = &bench.device.spi;
            assert!(spi.to_send.len() <= FIFO && spi.received.len() <= FIFO);
            assert_eq!(bench.line(0), spi.interrupt());
            bench.check_save_restore();
            Ok(())
        });
    }
}
