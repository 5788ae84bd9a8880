//! The serial blocks of the nRF51 and nRF52 series: SPI and two-wire masters that share an address and an interrupt.
//!
//! Follows the nRF52832 Product Specification v1.4, chapters 31 (SPIM), 33 (TWIM), 48 (SPI) and 50 (TWI), the nRF52840
//! Product Specification v1.7, and the nRF51 Series Reference Manual v3.0, chapters 28 and 29. ENABLE selects what the
//! block is; registers, events and interrupts of all are the same cells, as in silicon. A node that is named for a
//! two-wire master has I2C chips on its bus, another one SPI chips; both are there only where a name ends in `m` has
//! EasyDMA, whose counters have `easydma-maxcnt-bits` bits, or 8.
//!
//! Chip selects are GPIOs: `cs-gpios` by the number of the chip; without the property chip 0 is always selected. Times
//! follow FREQUENCY.
//!
//! Chips are reached by the pins that they are wired to: `sck-pin`, `mosi-pin` and `miso-pin`, or `scl-pin` and
//! `sda-pin` of the node, in the numbers of PSEL; any pin will do where a property is not there. A wire that PSEL does
//! not lead to reads as ones, to the chip or from it; without their clock chips do not take part, and a two-wire address
//! is not acknowledged.
//!
//! Left out: the slaves (SPIS, TWIS), another block's way to the pins of this one's chips, the hardware's own chip
//! select and D/CX of the nRF52840's SPIM3, clock phase and polarity, and arbitration.

use super::block::{Block, Nordic, Peripheral};
use super::easydma::Dma;
use super::spi::{self, Spi};
use super::twi::{self, Twi};
use crate::nordic_layout;
use devices_core::i2c::I2cBus;
use devices_core::pins::{self, Pin};
use devices_core::spi::SpiBus;
use devices_core::{
    At, BuildArgs, BuildError, Component, ControlError, ControlSpec, ControlValue, Ctx, Device, Display,
    Field, HostInput, Model, Node, Port, RestoreError, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-spim", "nordic,nrf-spi", "nordic,nrf-twim", "nordic,nrf-twi"],
    summary: "nRF serial block: SPI(M) and TWI(M)",
    rom: &[],
    ram: &[],
    build,
};

nordic_layout! {
    tasks {
        STARTRX = 0x000, STARTTX = 0x008, START = 0x010, STOP = 0x014, SUSPEND = 0x01c, RESUME = 0x020,
    }
    events {
        STOPPED = 0x104, READY = 0x108, ENDRX = 0x110, END = 0x118, TXDSENT = 0x11c, ENDTX = 0x120,
        ERROR = 0x124, BB = 0x138, SUSPENDED = 0x148, STARTED = 0x14c, TXSTARTED = 0x150, LASTRX = 0x15c,
        LASTTX = 0x160,
    }
    shorts {
        0: BB => SUSPEND, 1: BB => STOP,
        7: LASTTX => STARTRX, 8: LASTTX => SUSPEND, 9: LASTTX => STOP,
        10: LASTRX => STARTTX, 11: LASTRX => SUSPEND, 12: LASTRX => STOP,
        17: END => START,
    }
}

/// The events that have another name in another master.
pub mod same {
    /// Of the two-wire masters.
    pub const RXDREADY: u32 = super::event::READY;
    /// Of the two-wire masters.
    pub const RXSTARTED: u32 = super::event::STARTED;
}

const CHIP_SELECTS: usize = 8;

/// What the block is, by ENABLE.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Role {
    Off,
    Spi,
    Twi,
    TwiDma,
    SpiDma,
}

/// Where the chips are wired to, in PSEL's numbers; `None` is anywhere.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Wiring {
    /// SCK, MOSI and MISO.
    pub spi: [Option<u32>; 3],
    /// SCL and SDA.
    pub twi: [Option<u32>; 2],
}

/// Which of the chips' wires PSEL leads to.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Route {
    /// SCK.
    pub clock: bool,
    /// MOSI.
    pub out: bool,
    /// MISO.
    pub back: bool,
    /// SCL and SDA.
    pub twi: bool,
}

impl Wiring {
    fn new(node: &dyn Node) -> Wiring {
        Wiring {
            spi: ["sck-pin", "mosi-pin", "miso-pin"].map(|name| node.u32(name)),
            twi: ["scl-pin", "sda-pin"].map(|name| node.u32(name)),
        }
    }

    fn route(&self, psel: &[u32; 4]) -> Route {
        let [clock, out, back] = std::array::from_fn(|n| leads(psel[n], self.spi[n]));
        let twi = (0..2).all(|n| leads(psel[n], self.twi[n]));
        Route { clock, out, back, twi }
    }
}

/// Whether a PSEL register connects a signal to `pin`, or to any if that is not known.
pub fn leads(psel: u32, pin: Option<u32>) -> bool {
    const DISCONNECTED: u32 = 1 << 31;
    psel & DISCONNECTED == 0 && pin.is_none_or(|pin| psel & 0x3f == pin)
}

/// The registers that the masters share.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Registers {
    enable: u32,
    psel: [u32; 4],
    /// What PSEL makes of the wires.
    pub route: Route,
    /// Code of the clock.
    pub frequency: u32,
    /// Bit order, clock phase and polarity.
    pub config: u32,
    /// Byte that is sent when there is no other.
    pub orc: u32,
    /// Of the chip, seven bits.
    pub address: u32,
    /// What went wrong, until software clears it.
    pub errorsrc: u32,
    /// Where received bytes go.
    pub rxd: Dma,
    /// Where bytes to send are.
    pub txd: Dma,
}

impl Default for Registers {
    fn default() -> Registers {
        Registers {
            enable: 0,
            psel: [u32::MAX; 4],
            route: Route::default(),
            frequency: 0x0400_0000,
            config: 0,
            orc: 0,
            address: 0,
            errorsrc: 0,
            rxd: Dma::default(),
            txd: Dma::default(),
        }
    }
}

impl Registers {
    fn role(&self) -> Role {
        match self.enable {
            1 => Role::Spi,
            5 => Role::Twi,
            6 => Role::TwiDma,
            7 => Role::SpiDma,
            _ => Role::Off,
        }
    }

    /// Whether transfers are by EasyDMA.
    pub fn has_dma(&self) -> bool {
        matches!(self.role(), Role::TwiDma | Role::SpiDma)
    }
}

/// All that a reset clears.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Masters {
    registers: Registers,
    spi: Spi,
    twi: Twi,
}

#[derive(Serialize, Deserialize)]
struct State {
    masters: Masters,
    pins: [Pin; CHIP_SELECTS],
    selected: [Option<usize>; 2],
    chips: [Vec<u8>; 2],
}

/// A serial block with its chips.
pub struct Serial {
    masters: Masters,
    pins: [Pin; CHIP_SELECTS],
    /// For each chip select, whether it is active low.
    selects: Vec<bool>,
    spi_bus: SpiBus,
    twi_bus: I2cBus,
    /// Bits of MAXCNT; `None` without EasyDMA.
    dma_bits: Option<u32>,
    /// Of its chips.
    pub wiring: Wiring,
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let base = super::base_address(args)?;
    let compatible = args.node.compatible();
    let dma = compatible.iter().any(|name| name.ends_with("-spim") || name.ends_with("-twim"));
    let bits = args.node.u32("easydma-maxcnt-bits").unwrap_or(8);
    if !(1..=16).contains(&bits) {
        return Err(BuildError::property("easydma-maxcnt-bits", format!("{bits}; 1 to 16 are possible")));
    }
    let is_twi = compatible.iter().any(|name| MODEL.compatible.contains(name) && name.contains("-twi"));
    let cells = args.node.cells("cs-gpios").unwrap_or_default();
    let selects: Vec<bool> =
        cells.chunks(3).map(|entry| entry.get(2).is_some_and(|flags| flags & 1 != 0)).collect();
    if selects.len() > CHIP_SELECTS {
        let message = format!("{} chip selects; at most {CHIP_SELECTS} are possible", selects.len());
        return Err(BuildError::property("cs-gpios", message));
    }
    let mut serial = Serial::new(dma.then_some(bits), selects);
    serial.wiring = Wiring::new(args.node);
    if is_twi {
        crate::i2c::attach(args, &mut serial.twi_bus.children)?;
    } else {
        crate::spi::attach(args, &mut serial.spi_bus.children, None)?;
    }
    Ok(Box::new(Nordic::new(base, &LAYOUT, serial)))
}

impl Serial {
    /// With EasyDMA counters of so many bits, if it has any, and chip selects that are active low or not.
    pub fn new(dma_bits: Option<u32>, selects: Vec<bool>) -> Serial {
        Serial {
            masters: Masters::default(),
            pins: [Pin::default(); CHIP_SELECTS],
            selects,
            spi_bus: SpiBus::default(),
            twi_bus: I2cBus::default(),
            dma_bits,
            wiring: Wiring::default(),
        }
    }

    /// Something is about to be sent: tells where it does not reach the chips that are there.
    fn check_route(&self, ctx: &mut Ctx) {
        let Registers { route, .. } = self.masters.registers;
        let reaches = match self.masters.registers.role() {
            Role::Off => true,
            Role::Spi | Role::SpiDma => self.spi_bus.children.is_empty() || route.clock && route.out,
            Role::Twi | Role::TwiDma => self.twi_bus.children.is_empty() || route.twi,
        };
        if !reaches {
            ctx.unimplemented(0x508, true, "a transfer by other pins than those of its chips");
        }
    }

    /// Selects the chip whose line is active.
    fn select(&mut self, ctx: &mut Ctx) {
        let active = |(pin, low): (&Pin, &bool)| pin.active(*low);
        let chip = match self.selects.as_slice() {
            [] => Some(0),
            selects => self.pins.iter().zip(selects).position(active).map(|chip| chip as u32),
        };
        self.spi_bus.select(ctx, chip);
    }

    fn enable(&mut self, ctx: &mut Ctx, value: u32) {
        let has_dma = self.dma_bits.is_some();
        if !(matches!(value & 0xf, 0 | 1 | 5) || has_dma && matches!(value & 0xf, 6 | 7)) {
            ctx.unimplemented(0x500, true, "the slave, or another mode of the serial block");
        }
        let before = self.masters.registers.role();
        self.masters.registers.enable = value & 0xf;
        if !has_dma && matches!(value & 0xf, 6 | 7) {
            self.masters.registers.enable = 0;
        }
        if self.masters.registers.role() != before {
            self.masters.spi.abort(ctx);
            self.masters.twi.abort(ctx, &mut self.twi_bus);
        }
    }

    fn read_rxd(&mut self, block: &mut Block, ctx: &mut Ctx) -> u32 {
        let Masters { registers, spi, twi } = &mut self.masters;
        match registers.role() {
            Role::Spi => spi.receive(ctx, block).into(),
            Role::Twi => twi.receive(ctx, block, registers, &mut self.twi_bus).into(),
            _ => 0,
        }
    }

    fn write_txd(&mut self, block: &mut Block, ctx: &mut Ctx, byte: u8) {
        if self.masters.registers.role() == Role::Spi {
            self.check_route(ctx);
        }
        let Masters { registers, spi, twi } = &mut self.masters;
        match registers.role() {
            Role::Spi => spi.send(ctx, registers, byte),
            Role::Twi => twi.send(ctx, block, registers, &mut self.twi_bus, byte),
            _ => {}
        }
    }
}

impl Component for Serial {
    fn save(&self) -> Vec<u8> {
        let Serial { masters, pins, selects: _, spi_bus, twi_bus, dma_bits: _, wiring: _ } = self;
        state::encode(&State {
            masters: masters.clone(),
            pins: *pins,
            selected: [spi_bus.selected(), twi_bus.selected()],
            chips: [spi_bus.children.save(), twi_bus.children.save()],
        })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let State { masters, pins, selected: [spi, twi], chips } = state::decode(bytes)?;
        self.spi_bus.children.restore(&chips[0])?;
        self.twi_bus.children.restore(&chips[1])?;
        self.spi_bus.set_selected(spi);
        self.twi_bus.set_selected(twi);
        (self.masters, self.pins) = (masters, pins);
        Ok(())
    }

    fn controls(&self) -> Vec<ControlSpec> {
        [self.spi_bus.children.controls(), self.twi_bus.children.controls()].concat()
    }

    fn control(&self, name: &str) -> Option<ControlValue> {
        self.spi_bus.children.control(name).or_else(|| self.twi_bus.children.control(name))
    }

    fn set_control(&mut self, ctx: &mut Ctx, name: &str, value: &ControlValue) -> Result<(), ControlError> {
        if self.spi_bus.children.is_empty() {
            self.twi_bus.children.set_control(ctx, name, value)
        } else {
            self.spi_bus.children.set_control(ctx, name, value)
        }
    }

    fn inspect(&self) -> Vec<Field> {
        let field = |name: &str, value: String| Field { name: name.to_string(), value };
        let registers = &self.masters.registers;
        let dma = |dma: &Dma| format!("{} of {} at {:#010x}", dma.amount, dma.maxcnt, dma.ptr);
        let mut fields = vec![
            field("ENABLE", format!("{:?}", registers.role())),
            field("FREQUENCY", format!("{:#010x}", registers.frequency)),
            field("ADDRESS", format!("{:#04x}", registers.address)),
            field("ERRORSRC", format!("{:#x}", registers.errorsrc)),
            field("RXD", dma(&registers.rxd)),
            field("TXD", dma(&registers.txd)),
        ];
        fields.extend(self.spi_bus.children.inspect());
        fields.extend(self.twi_bus.children.inspect());
        fields
    }
}

impl Peripheral for Serial {
    fn reset(&mut self, block: &mut Block, ctx: &mut Ctx) {
        self.switched_off(block, ctx);
        self.spi_bus.reset(ctx);
        self.twi_bus.reset(ctx);
        self.select(ctx);
    }

    fn switched_off(&mut self, _block: &mut Block, ctx: &mut Ctx) {
        self.twi_bus.stop(ctx);
        self.masters = Masters::default();
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        if matches!(task, task::START | task::STARTRX | task::STARTTX) {
            self.check_route(ctx);
        }
        let Masters { registers, spi, twi } = &mut self.masters;
        match registers.role() {
            Role::SpiDma => match task {
                task::START => spi.start(ctx, block, registers),
                task::STOP => spi.stop(ctx, block, registers, &mut self.spi_bus),
                task::SUSPEND => spi.suspend(ctx),
                task::RESUME => spi.resume(ctx, registers),
                _ => {}
            },
            Role::Twi | Role::TwiDma => match task {
                task::STARTRX => twi.start(ctx, block, registers, true),
                task::STARTTX => twi.start(ctx, block, registers, false),
                task::STOP => twi.stop(ctx, block, registers, &mut self.twi_bus),
                task::SUSPEND => twi.suspend(ctx, block),
                task::RESUME => twi.resume(ctx, block, registers, &mut self.twi_bus),
                _ => {}
            },
            Role::Off | Role::Spi => {}
        }
    }

    fn read(&mut self, block: &mut Block, ctx: &mut Ctx, at: At) -> Option<u32> {
        let registers = &self.masters.registers;
        let offset = at.offset as u32;
        Some(match offset {
            0x4c4 => registers.errorsrc,
            0x500 => registers.enable,
            0x508..=0x514 => registers.psel[(offset as usize - 0x508) / 4],
            0x518 => return Some(self.read_rxd(block, ctx)),
            0x51c => 0,
            0x524 => registers.frequency,
            0x534..=0x540 if self.dma_bits.is_some() => return registers.rxd.read(offset - 0x534),
            0x544..=0x550 if self.dma_bits.is_some() => return registers.txd.read(offset - 0x544),
            0x554 => registers.config,
            0x588 => registers.address,
            0x5c0 => registers.orc,
            _ => return None,
        })
    }

    fn write(&mut self, block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        let registers = &mut self.masters.registers;
        let offset = at.offset as u32;
        match (offset, self.dma_bits) {
            (0x4c4, _) => registers.errorsrc &= !value,
            (0x500, _) => self.enable(ctx, value),
            (0x508..=0x514, _) => {
                registers.psel[(offset as usize - 0x508) / 4] = value;
                registers.route = self.wiring.route(&registers.psel);
            }
            (0x518, _) => {}
            (0x51c, _) => self.write_txd(block, ctx, value as u8),
            (0x524, _) => registers.frequency = value,
            (0x534..=0x540, Some(bits)) => registers.rxd.write(offset - 0x534, value, bits)?,
            (0x544..=0x550, Some(bits)) => registers.txd.write(offset - 0x544, value, bits)?,
            (0x554, _) => registers.config = value & 7,
            (0x588, _) => registers.address = value & 0x7f,
            (0x5c0, Some(_)) => registers.orc = value & 0xff,
            _ => return None,
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        if self.spi_bus.event(ctx, token) || self.twi_bus.event(ctx, token) {
            return;
        }
        let Masters { registers, spi, twi } = &mut self.masters;
        match token {
            spi::TOKEN_END | spi::TOKEN_SHORTER => spi.event(ctx, block, registers, &mut self.spi_bus, token),
            twi::TOKEN => twi.event(ctx, block, registers, &mut self.twi_bus),
            _ => {}
        }
    }

    fn line(&mut self, _block: &mut Block, ctx: &mut Ctx, input: u32, level: bool) {
        if pins::drive(&mut self.pins, input, level).is_some() {
            self.select(ctx);
        } else if !self.spi_bus.line(ctx, input, level) {
            self.twi_bus.line(ctx, input, level);
        }
    }

    fn ports(&self) -> Vec<Port> {
        [self.spi_bus.ports(), self.twi_bus.ports()].concat()
    }

    fn host_input(&mut self, _block: &mut Block, ctx: &mut Ctx, input: &HostInput) {
        self.spi_bus.host_input(ctx, input);
        self.twi_bus.host_input(ctx, input);
    }

    fn display(&self) -> Option<&dyn Display> {
        self.spi_bus.display().or_else(|| self.twi_bus.display())
    }
}

#[cfg(test)]
mod tests;
