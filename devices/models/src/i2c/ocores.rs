//! OpenCores I2C master.
//!
//! Follows the "I2C-Master Core Specification" rev. 0.9 (R. Herveille), its Verilog (`i2c_master_byte_ctrl.v`) for the
//! order of commands given together and for the registers 5 and 6, and the devicetree binding
//! `i2c/opencores,i2c-ocores.yaml`. The FE310-G002 manual, chapter 20, has the same block.
//!
//! A command takes virtual time: start, nine bits and stop, each five times `prescale + 1` cycles of the clock, as
//! the specification defines the prescaler. Its effect on the chips comes at its end. The clock is the node's
//! `opencores,ip-clock-frequency`, or 16 MHz as after the FE310's boot: what the guest sets up in the PRCI does not
//! reach this model.
//!
//! Left out: other masters (so arbitration is never lost), clock stretching, ten-bit addresses.

use devices_core::i2c::I2cBus;
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlSpec, ControlValue, Ctx, Device, Display,
    Field, HostInput, Model, Port, RestoreError, Time, Width, Widths, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["opencores,i2c-ocores", "sifive,i2c0", "sifive,fu540-c000-i2c", "sifive,fu740-c000-i2c"],
    summary: "OpenCores I2C master",
    rom: &[],
    ram: &[],
    build,
};

register_bank! {
    /// The registers by number; what is written to `Receive` and `Status` are data to transmit and a command.
    enum Register {
        PrescaleLow = 0, rw(0xff), reset 0xff;
        PrescaleHigh = 1, rw(0xff), reset 0xff;
        Control = 2, rw(0xc0), reset 0, { ien: 6, en: 7 };
        Receive = 3, ro, reset 0;
        Status = 4, ro, reset 0, { if_: 0, tip: 1, al: 5, busy: 6, rxack: 7 };
        Transmit = 5, ro, reset 0;
        Command = 6, ro, reset 0, { iack: 0, ack: 3, wr: 4, rd: 5, sto: 6, sta: 7 };
    }
}

use Register::*;

const ENABLE: u32 = 0x80;
const INTERRUPT_ENABLE: u32 = 0x40;

mod command {
    pub const START: u32 = 0x80;
    pub const STOP: u32 = 0x40;
    pub const READ: u32 = 0x20;
    pub const WRITE: u32 = 0x10;
    pub const NACK: u32 = 0x08;
    pub const CLEAR_INTERRUPT: u32 = 0x01;
    /// Any of these makes the controller move.
    pub const GO: u32 = STOP | READ | WRITE;
}

mod status {
    pub const NO_ACK: u32 = 0x80;
    pub const BUSY: u32 = 0x40;
    pub const IN_PROGRESS: u32 = 0x02;
    pub const INTERRUPT: u32 = 0x01;
}

/// The block without its surroundings.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Master {
    bank: Bank<Register>,
    /// A command is on its way.
    active: bool,
}

impl Master {
    /// Level of the interrupt output.
    pub fn interrupt(&self) -> bool {
        self.bank[Status] & status::INTERRUPT != 0 && self.bank[Control] & INTERRUPT_ENABLE != 0
    }

    /// How long the command takes with a clock of `hz`.
    pub fn duration(&self, hz: u64) -> Time {
        let command = self.bank[Command];
        let bits = u64::from(command & command::START != 0)
            + 9 * u64::from(command & (command::READ | command::WRITE) != 0)
            + u64::from(command & command::STOP != 0);
        let prescale = u64::from(self.bank[PrescaleHigh] << 8 | self.bank[PrescaleLow]);
        Time::of_tick(bits * 5 * (prescale + 1), hz)
    }

    /// A write by software; whether a command starts.
    fn write(&mut self, register: Register, value: u32) -> bool {
        let value = value & 0xff;
        match register {
            Receive => self.bank[Transmit] = value,
            Status => return self.command(value),
            _ => {
                self.bank.write(register, value);
                if self.bank[Control] & ENABLE == 0 {
                    self.abort();
                }
            }
        }
        false
    }

    fn command(&mut self, value: u32) -> bool {
        if self.bank[Control] & ENABLE == 0 {
            return false;
        }
        if value & command::CLEAR_INTERRUPT != 0 {
            self.bank[Status] &= !status::INTERRUPT;
        }
        if self.active {
            return false;
        }
        self.bank[Command] = value & !command::CLEAR_INTERRUPT;
        self.active = value & command::GO != 0;
        if self.active && value & (command::READ | command::WRITE) != 0 {
            self.bank[Status] |= status::IN_PROGRESS;
        }
        self.active
    }

    /// Switched off: nothing is on its way any more.
    fn abort(&mut self) {
        self.active = false;
        self.bank[Command] = 0;
        self.bank[Status] &= !(status::IN_PROGRESS | status::BUSY);
    }

    /// The command is over: its effect on the bus.
    fn finish(&mut self, ctx: &mut Ctx, bus: &mut I2cBus) {
        let command = self.bank[Command];
        let data = self.bank[Transmit] as u8;
        let started = command & command::START != 0;
        let mut no_ack = self.bank[Status] & status::NO_ACK != 0;
        if command & command::READ != 0 {
            if started {
                bus.stop(ctx); // a start without an address selects nobody
            }
            self.bank[Receive] = bus.read(ctx).into();
            no_ack = command & command::NACK != 0;
        } else if started {
            no_ack = !bus.start(ctx, data >> 1, data & 1 != 0);
        } else if command & command::WRITE != 0 {
            no_ack = !bus.write(ctx, data);
        }
        let mut busy = self.bank[Status] & status::BUSY != 0 || started;
        if command & command::STOP != 0 {
            bus.stop(ctx);
            busy = false;
        }
        self.bank[Status] =
            (u32::from(no_ack) * status::NO_ACK) | (u32::from(busy) * status::BUSY) | status::INTERRUPT;
        self.bank[Command] &= command::NACK;
        self.active = false;
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    master: Master,
    selected: Option<usize>,
    chips: Vec<u8>,
}

/// An OpenCores I2C master on the bus, with its chips.
pub struct Ocores {
    master: Master,
    /// The chips.
    pub bus: I2cBus,
    clock: u64,
    shift: u32,
}

const TOKEN_DONE: u32 = 0;

impl Ocores {
    /// With a clock of `hz` and registers `1 << shift` bytes apart; `shift` is at most 3.
    pub fn new(hz: u64, shift: u32) -> Ocores {
        Ocores { master: Master::default(), bus: I2cBus::default(), clock: hz, shift: shift.min(3) }
    }

    fn register(&self, offset: u64) -> Option<Register> {
        (offset.trailing_zeros() >= self.shift).then(|| self.master.bank.at(offset >> self.shift)).flatten()
    }

    fn update(&mut self, ctx: &mut Ctx) {
        if !self.master.active {
            ctx.cancel(TOKEN_DONE);
        }
        ctx.set_line(0, self.master.interrupt());
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let hz = args.node.u32("opencores,ip-clock-frequency").unwrap_or(16_000_000);
    if hz == 0 {
        let message = "the clock of a bus can not stand still";
        return Err(BuildError::property("opencores,ip-clock-frequency", message));
    }
    let shift = args.node.u32("reg-shift").unwrap_or(0);
    if shift > 3 {
        return Err(BuildError::property("reg-shift", format!("{shift}; 0 to 3 are possible")));
    }
    let mut device = Ocores::new(hz.into(), shift);
    super::attach(args, &mut device.bus.children)?;
    Ok(Box::new(device))
}

impl Component for Ocores {
    fn save(&self) -> Vec<u8> {
        let Ocores { master, bus, clock: _, shift: _ } = self;
        state::encode(&State { master: master.clone(), selected: bus.selected(), chips: bus.children.save() })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let State { master, selected, chips } = state::decode(bytes)?;
        self.bus.children.restore(&chips)?;
        self.bus.set_selected(selected);
        self.master = master;
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
        let mut fields = self.master.bank.inspect();
        fields.extend(self.bus.children.inspect());
        fields
    }
}

impl Device for Ocores {
    fn reset(&mut self, ctx: &mut Ctx) {
        self.master = Master::default();
        self.bus.reset(ctx);
        self.update(ctx);
    }

    fn widths(&self, _region: usize) -> Widths {
        let max = [Width::B1, Width::B2, Width::B4, Width::B8][self.shift as usize & 3];
        Widths { min: Width::B1, max: max.min(Width::B4) }
    }

    fn read(&mut self, ctx: &mut Ctx, at: At, _width: Width) -> u64 {
        match self.register(at.offset) {
            Some(register) => self.master.bank.read(register).into(),
            // The bytes above a register, and register 7, read as zero.
            None if at.offset >> self.shift < 8 => 0,
            None => {
                ctx.unimplemented(at.offset, false, "no such register");
                0
            }
        }
    }

    fn write(&mut self, ctx: &mut Ctx, at: At, _width: Width, value: u64) {
        let Some(register) = self.register(at.offset) else {
            if at.offset >> self.shift >= 8 {
                ctx.unimplemented(at.offset, true, "no such register");
            }
            return;
        };
        let value = value as u32;
        let mut rest = Time::ZERO;
        if matches!(register, Status) && self.master.active && value & (command::START | command::GO) != 0 {
            if self.master.bank[Status] & status::IN_PROGRESS != 0 {
                ctx.complain("a command was written while a transfer was in progress; it is ignored");
            } else {
                // Only a stop is on its way, which TIP does not tell: what follows waits for it.
                rest = ctx.due(TOKEN_DONE).unwrap_or_default().saturating_sub(ctx.now());
                self.master.finish(ctx, &mut self.bus);
            }
        }
        if self.master.write(register, value) {
            ctx.schedule_in(TOKEN_DONE, self.master.duration(self.clock).saturating_add(rest));
        }
        if self.master.bank[Control] & ENABLE == 0 {
            self.bus.stop(ctx);
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
        if self.master.active {
            self.master.finish(ctx, &mut self.bus);
        }
        self.update(ctx);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use devices_core::bench::Bench;
    use devices_core::i2c::I2cTarget;

    /// Answers with what it was written, plus one; refuses zero.
    #[derive(Default)]
    struct Echo {
        log: Vec<u8>,
    }

    impl Component for Echo {
        fn save(&self) -> Vec<u8> {
            state::encode(&self.log)
        }
        fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
            self.log = state::decode(bytes)?;
            Ok(())
        }
    }

    impl I2cTarget for Echo {
        fn reset(&mut self, _ctx: &mut Ctx) {
            self.log.clear();
        }
        fn start(&mut self, _ctx: &mut Ctx, _read: bool) -> bool {
            true
        }
        fn write(&mut self, _ctx: &mut Ctx, byte: u8) -> bool {
            self.log.push(byte);
            byte != 0
        }
        fn read(&mut self, _ctx: &mut Ctx) -> u8 {
            self.log.last().map_or(0, |byte| byte.wrapping_add(1))
        }
        fn stop(&mut self, _ctx: &mut Ctx) {
            self.log.push(0xaa);
        }
    }

    const PRERLO: u64 = 0x0;
    const PRERHI: u64 = 0x4;
    const CTR: u64 = 0x8;
    const DATA: u64 = 0xc;
    const CR: u64 = 0x10;

    /// A controller at 100 kHz, the clock being 16 MHz.
    fn bench() -> Bench<Ocores> {
        let mut device = Ocores::new(16_000_000, 2);
        device.bus.children.attach(0x42, "echo", Box::new(Echo::default()));
        let mut bench = Bench::new(device);
        bench.write32(PRERLO, 31);
        bench.write32(PRERHI, 0);
        bench.write32(CTR, ENABLE | INTERRUPT_ENABLE);
        bench
    }

    /// A command with data; the status after it.
    fn run(bench: &mut Bench<Ocores>, data: u8, command: u32) -> u32 {
        bench.write32(DATA, data.into());
        bench.write32(CR, command);
        assert_eq!(bench.read32(CR) & 2, 2, "in progress");
        bench.advance(Time::from_us(110));
        assert!(bench.line(0));
        bench.write32(CR, 1);
        assert!(!bench.line(0));
        bench.read32(CR)
    }

    #[test]
    fn registers_after_reset() {
        let mut bench = Bench::new(Ocores::new(16_000_000, 2));
        assert_eq!([0, 4, 8, 12, 16, 20, 24, 28].map(|at| bench.read32(at)), [0xff, 0xff, 0, 0, 0, 0, 0, 0]);
        bench.write32(CTR, 0xff);
        assert_eq!(bench.read32(CTR), 0xc0);
        assert_eq!(bench.read(CTR + 1, Width::B1), 0);
    }

    #[test]
    fn a_disabled_core_takes_no_command() {
        let mut bench = bench();
        bench.write32(CTR, 0);
        bench.write32(CR, 0x90);
        bench.advance(Time::from_ms(1));
        assert_eq!(bench.read32(CR), 0);
    }

    #[test]
    fn writes_and_reads_with_repeated_start() {
        let mut bench = bench();
        assert_eq!(run(&mut bench, 0x84, 0x90), 0x40, "acknowledged, busy");
        assert_eq!(run(&mut bench, 0x17, 0x10), 0x40);
        assert_eq!(run(&mut bench, 0x85, 0x90), 0x40);
        assert_eq!(run(&mut bench, 0, 0x68), 0x80, "read, not acknowledged by us, stop");
        assert_eq!(bench.read32(DATA), 0x18);
        assert_eq!(bench.device.bus.selected(), None);
    }

    #[test]
    fn nobody_there_and_a_refused_byte() {
        let mut bench = bench();
        assert_eq!(run(&mut bench, 0x86, 0x90), 0xc0);
        assert_eq!(run(&mut bench, 0x84, 0x90), 0x40);
        assert_eq!(run(&mut bench, 0x00, 0x50), 0x80);
    }

    #[test]
    fn a_byte_takes_nine_bit_times() {
        let mut bench = bench();
        bench.write32(DATA, 0x84);
        bench.write32(CR, 0x90);
        bench.advance(Time::from_us(99));
        assert_eq!((bench.read32(CR), bench.line(0)), (2, false));
        bench.advance(Time::from_us(1));
        assert_eq!((bench.read32(CR), bench.line(0)), (0x41, true));
        bench.write32(CTR, ENABLE);
        assert!(!bench.line(0), "the interrupt is masked");
    }

    #[test]
    fn stop_alone_shows_no_transfer_and_is_waited_for() {
        let mut bench = bench();
        run(&mut bench, 0x84, 0x90);
        bench.write32(CR, 0x40);
        assert_eq!(bench.read32(CR), 0x40, "still busy, no transfer");
        bench.write32(DATA, 0x84);
        bench.write32(CR, 0x90);
        bench.advance(Time::from_us(109));
        assert_eq!(bench.read32(CR) & 2, 2);
        bench.advance(Time::from_us(1));
        assert_eq!(bench.read32(CR), 0x41);
    }

    #[test]
    fn a_command_in_a_transfer_is_told() {
        let mut bench = bench();
        bench.write32(DATA, 0x84);
        bench.write32(CR, 0x90);
        bench.write32(CR, 0x10);
        assert_eq!(bench.services.complaints.len(), 1);
        bench.advance(Time::from_us(100));
        assert_eq!(bench.read32(CR), 0x41);
    }

    #[test]
    fn reset_and_state() {
        let mut bench = bench();
        run(&mut bench, 0x84, 0x90);
        bench.write32(CR, 0x10);
        bench.check_save_restore();
        bench.services.events.cancel_all(0);
        bench.call(|device, ctx| device.reset(ctx));
        assert_eq!((bench.read32(CR), bench.read32(PRERLO), bench.line(0)), (0, 0xff, false));
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench();
            bench.torture(&bytes, 0x28);
            assert_eq!(bench.line(0), bench.device.master.interrupt());
            bench.check_save_restore();
            Ok(())
        });
    }
}
