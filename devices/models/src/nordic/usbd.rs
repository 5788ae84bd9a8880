//! Universal serial bus device (USBD) of the nRF52840, with a host at the other end of its cable.
//!
//! Follows the nRF52840 Product Specification v1.7, chapter 6.35. Once software enables the block and its pull-up, the
//! host (`usb_host.rs`) resets and enumerates the device and offers its serial or HCI function as a serial port. It
//! visits the bus four times a frame of 1 ms; a transaction takes no time. The request to set the address is answered
//! without software, as in hardware.
//!
//! Left out: isochronous endpoints, suspend, remote wake-up, low power, driving the lines by hand, and data toggles.

use super::block::{Block, Nordic, Peripheral};
use super::usb_host::{Control, PACKET, Stage, UsbHost};
use super::{base_address, easydma};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, HostInput, HostOutput, Model, Port,
    RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

/// Registry entry.
pub const MODEL: Model =
    Model { compatible: &["nordic,nrf-usbd"], summary: "nRF USB device", rom: &[], ram: &[], build };

const ENDPOINTS: usize = 8;

crate::nordic_layout! {
    tasks {
        STARTEPIN0 = 0x004, STARTEPIN1 = 0x008, STARTEPIN2 = 0x00c, STARTEPIN3 = 0x010,
        STARTEPIN4 = 0x014, STARTEPIN5 = 0x018, STARTEPIN6 = 0x01c, STARTEPIN7 = 0x020, STARTISOIN = 0x024,
        STARTEPOUT0 = 0x028, STARTEPOUT1 = 0x02c, STARTEPOUT2 = 0x030, STARTEPOUT3 = 0x034,
        STARTEPOUT4 = 0x038, STARTEPOUT5 = 0x03c, STARTEPOUT6 = 0x040, STARTEPOUT7 = 0x044, STARTISOOUT = 0x048,
        EP0RCVOUT = 0x04c, EP0STATUS = 0x050, EP0STALL = 0x054, DPDMDRIVE = 0x058, DPDMNODRIVE = 0x05c,
    }
    events {
        USBRESET = 0x100, STARTED = 0x104,
        ENDEPIN0 = 0x108, ENDEPIN1 = 0x10c, ENDEPIN2 = 0x110, ENDEPIN3 = 0x114,
        ENDEPIN4 = 0x118, ENDEPIN5 = 0x11c, ENDEPIN6 = 0x120, ENDEPIN7 = 0x124,
        EP0DATADONE = 0x128, ENDISOIN = 0x12c,
        ENDEPOUT0 = 0x130, ENDEPOUT1 = 0x134, ENDEPOUT2 = 0x138, ENDEPOUT3 = 0x13c,
        ENDEPOUT4 = 0x140, ENDEPOUT5 = 0x144, ENDEPOUT6 = 0x148, ENDEPOUT7 = 0x14c, ENDISOOUT = 0x150,
        SOF = 0x154, USBEVENT = 0x158, EP0SETUP = 0x15c, EPDATA = 0x160,
    }
    shorts {
        0: EP0DATADONE => STARTEPIN0, 1: EP0DATADONE => STARTEPOUT0, 2: EP0DATADONE => EP0STATUS,
        3: ENDEPOUT0 => EP0STATUS, 4: ENDEPOUT0 => EP0RCVOUT,
    }
}

register_bank! {
    /// The registers, apart from those of the endpoints.
    enum Register {
        EventCause = 0x400, w1c(0xf01), reset 0, { suspend: 8, resume: 9, usbwuallowed: 10, ready: 11 };
        EpStatus = 0x468, w1c(u32::MAX), reset 0;
        EpDataStatus = 0x46c, w1c(u32::MAX), reset 0;
        UsbAddr = 0x470, ro, reset 0;
        Enable = 0x500, rw(1), reset 0;
        UsbPullup = 0x504, rw(1), reset 0;
        DpDmValue = 0x508, rw(0x1f), reset 0;
        DToggle = 0x50c, rw(0x387), reset 0x100;
        EpInEn = 0x510, rw(0x1ff), reset 1;
        EpOutEn = 0x514, rw(0x1ff), reset 1;
        IsoSplit = 0x51c, rw(0xffff), reset 0;
        FrameCntr = 0x520, ro, reset 0;
        LowPower = 0x52c, rw(1), reset 0;
        IsoInConfig = 0x530, rw(1), reset 0;
    }
}

use Register::*;

/// EVENTCAUSE.READY.
const READY: u32 = 1 << 11;

/// What is due at an event.
mod token {
    /// The block is ready after ENABLE.
    pub const READY: u32 = 0;
    /// The host resets the bus.
    pub const RESET: u32 = 1;
    /// The host visits the bus.
    pub const VISIT: u32 = 2;
}

/// From the pull-up to the reset; a host lets contacts settle.
const SETTLE: Time = Time::from_ms(100);
const VISIT: Time = Time::from_us(250);
const VISITS_PER_FRAME: u32 = 4;
/// A device that does not finish a control transfer in so many visits is reset.
const PATIENCE: u32 = 5 * 1000 * VISITS_PER_FRAME;

/// The request that hardware answers without software, which sees it all the same.
const SET_ADDRESS: [u8; 2] = [0, 5];

/// One direction of an endpoint.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Endpoint {
    ptr: u32,
    maxcnt: u32,
    amount: u32,
    /// The packet in its buffer: to the host, or from it.
    packet: Option<Vec<u8>>,
    /// OUT: it takes a packet from the host.
    open: bool,
    stalled: bool,
}

/// A control transfer under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Transfer {
    control: Control,
    /// Bytes sent to the device so far.
    sent: usize,
    visits: u32,
}

/// The block without its common registers, and the host.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Usbd {
    bank: Bank<Register>,
    into: [Endpoint; ENDPOINTS],
    out: [Endpoint; ENDPOINTS],
    setup: [u8; 8],
    host: UsbHost,
    transfer: Option<Transfer>,
    /// The control transfer that the host makes next.
    next: Option<Control>,
    visits: u32,
}

impl Usbd {
    /// Starts a control transfer: the setup stage.
    fn begin(&mut self, block: &mut Block, ctx: &mut Ctx, control: Control) {
        if control.setup[..2] == SET_ADDRESS {
            self.bank[UsbAddr] = u32::from(control.setup[2] & 0x7f);
        }
        self.setup = control.setup;
        (self.into[0].packet, self.out[0].packet, self.out[0].open) = (None, None, false);
        self.transfer = Some(Transfer { control, sent: 0, visits: 0 });
        block.raise(ctx, event::EP0SETUP);
    }

    /// Ends a control transfer: with the data, or refused. The host makes the next one when it visits the bus again.
    fn finish(&mut self, ctx: &mut Ctx, data: Option<Vec<u8>>) {
        self.transfer = None;
        self.next = self.host.done(data.as_deref());
        if self.host.stage == Stage::Failed {
            ctx.complain("the USB host finds no serial or HCI function");
        }
    }

    /// The data stage of a control transfer, a packet at a time.
    fn advance(&mut self, block: &mut Block, ctx: &mut Ctx) {
        let Some(transfer) = &mut self.transfer else { return };
        transfer.visits += 1;
        if transfer.visits > PATIENCE {
            ctx.complain("the USB host gives up a control transfer and resets the device");
            self.transfer = None;
            ctx.schedule_in(token::RESET, SETTLE);
            return;
        }
        if self.setup[..2] == SET_ADDRESS {
            // Hardware has answered; the host gives the device two milliseconds.
            if transfer.visits > 2 * VISITS_PER_FRAME {
                self.finish(ctx, Some(Vec::new()));
            }
        } else if transfer.control.is_in() {
            let Some(packet) = self.into[0].packet.take() else { return };
            transfer.control.data.extend_from_slice(&packet);
            block.raise(ctx, event::EP0DATADONE);
        } else if self.out[0].open && transfer.sent < transfer.control.data.len() {
            let rest = &transfer.control.data[transfer.sent..];
            let packet = rest[..rest.len().min(PACKET)].to_vec();
            transfer.sent += packet.len();
            self.out[0].open = false;
            self.out[0].packet = Some(packet);
            block.raise(ctx, event::EP0DATADONE);
        }
    }

    /// What the host does when it visits the bus.
    fn visit(&mut self, block: &mut Block, ctx: &mut Ctx) {
        if self.transfer.is_some() {
            self.advance(block, ctx);
        } else if let Some(control) = self.next.take().or_else(|| self.host.next_command()) {
            self.begin(block, ctx, control);
        }
        let endpoints = self.host.endpoints;
        for number in [endpoints.interrupt_in, endpoints.bulk_in].into_iter().flatten() {
            let index = usize::from(number);
            let Some(packet) = self.into.get_mut(index).and_then(|endpoint| endpoint.packet.take()) else {
                continue;
            };
            let line = self.host.received(number, &packet);
            if !line.is_empty() {
                ctx.output(HostOutput::Serial(line));
            }
            self.bank[EpDataStatus] |= 1 << index;
            block.raise(ctx, event::EPDATA);
        }
        let Some(number) = endpoints.bulk_out else { return };
        if let Some(endpoint) = self.out.get_mut(usize::from(number)).filter(|endpoint| endpoint.open)
            && let Some(packet) = self.host.next_packet()
        {
            endpoint.packet = Some(packet);
            endpoint.open = false;
            self.bank[EpDataStatus] |= 1 << (16 + number);
            block.raise(ctx, event::EPDATA);
        }
    }

    /// STARTEPIN: a packet goes to the buffer of an endpoint.
    fn start_in(&mut self, block: &mut Block, ctx: &mut Ctx, index: usize) {
        let endpoint = &mut self.into[index];
        let mut packet = vec![0; endpoint.maxcnt.min(PACKET as u32) as usize];
        easydma::fetch(ctx, endpoint.ptr, &mut packet);
        endpoint.amount = packet.len() as u32;
        endpoint.packet = Some(packet);
        self.bank[EpStatus] |= 1 << index;
        block.raise(ctx, event::STARTED);
        block.raise(ctx, event::ENDEPIN0 + 4 * index as u32);
    }

    /// STARTEPOUT: the packet of an endpoint goes to memory.
    fn start_out(&mut self, block: &mut Block, ctx: &mut Ctx, index: usize) {
        let endpoint = &mut self.out[index];
        let packet = endpoint.packet.take().unwrap_or_default();
        let count = packet.len().min(endpoint.maxcnt as usize);
        easydma::store(ctx, endpoint.ptr, &packet[..count]);
        endpoint.amount = count as u32;
        endpoint.open = index != 0;
        self.bank[EpStatus] |= 1 << (16 + index);
        block.raise(ctx, event::STARTED);
        block.raise(ctx, event::ENDEPOUT0 + 4 * index as u32);
    }

    fn bus_reset(&mut self, block: &mut Block, ctx: &mut Ctx) {
        for endpoint in self.into.iter_mut().chain(&mut self.out) {
            (endpoint.packet, endpoint.open, endpoint.stalled) = (None, false, false);
        }
        self.bank[UsbAddr] = 0;
        self.transfer = None;
        block.raise(ctx, event::USBRESET);
        self.next = Some(self.host.attach());
        // Software needs a moment to see the reset before the first setup.
        ctx.schedule_in(token::VISIT, Time::from_ms(10));
    }

    fn connect(&mut self, ctx: &mut Ctx) {
        let connected = self.bank[Enable] & self.bank[UsbPullup] != 0;
        if !connected {
            self.host.detach();
            (self.transfer, self.next) = (None, None);
            ctx.cancel(token::RESET);
            ctx.cancel(token::VISIT);
        } else if self.host.stage == Stage::Detached && ctx.due(token::RESET).is_none() {
            ctx.schedule_in(token::RESET, SETTLE);
        }
    }

    /// The register of an endpoint at `offset`.
    fn endpoint(&mut self, offset: u64) -> Option<&mut u32> {
        let (endpoints, offset) = match offset {
            0x600..0x6a0 => (&mut self.into, offset - 0x600),
            0x700..0x7a0 => (&mut self.out, offset - 0x700),
            _ => return None,
        };
        let endpoint = &mut endpoints[(offset / 0x14) as usize];
        match offset % 0x14 {
            0 => Some(&mut endpoint.ptr),
            4 => Some(&mut endpoint.maxcnt),
            8 => Some(&mut endpoint.amount),
            _ => None,
        }
    }
}

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    Ok(Box::new(Nordic::new(base_address(args)?, &LAYOUT, Usbd::default())))
}

impl Component for Usbd {
    fn save(&self) -> Vec<u8> {
        state::encode(self)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let mut fields = self.bank.inspect();
        let host = format!("{:?}, {:?}", self.host.stage, self.host.function);
        fields.push(Field { name: "host".into(), value: host });
        fields
    }
}

impl Peripheral for Usbd {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        let mut host = std::mem::take(&mut self.host);
        host.detach();
        *self = Usbd { host, ..Usbd::default() };
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        match task {
            task::STARTEPIN0..=task::STARTEPIN7 => {
                self.start_in(block, ctx, ((task - task::STARTEPIN0) / 4) as usize);
            }
            task::STARTEPOUT0..=task::STARTEPOUT7 => {
                self.start_out(block, ctx, ((task - task::STARTEPOUT0) / 4) as usize);
            }
            task::EP0RCVOUT => self.out[0].open = true,
            task::EP0STATUS => {
                if let Some(transfer) = self.transfer.take() {
                    let mut data = if transfer.control.is_in() { transfer.control.data } else { Vec::new() };
                    data.truncate(u16::from_le_bytes([self.setup[6], self.setup[7]]).into());
                    self.finish(ctx, Some(data));
                }
            }
            task::EP0STALL => {
                if self.transfer.is_some() && self.setup[..2] != SET_ADDRESS {
                    self.finish(ctx, None);
                }
            }
            _ => ctx.unimplemented(task.into(), true, "isochronous endpoints and lines by hand"),
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        let word = |base: u64| ((at.offset - base) / 4) as usize;
        match at.offset {
            0x420..0x440 => Some(self.into[word(0x420)].stalled.into()),
            0x444..0x464 => Some(self.out[word(0x444)].stalled.into()),
            0x480..0x4a0 => Some(self.setup[word(0x480)].into()),
            0x4a0..0x4c0 => Some(self.out[word(0x4a0)].packet.as_ref().map_or(0, Vec::len) as u32),
            0x4c0 => Some(1 << 16),
            0x800..0xffc => Some(0),
            offset => match self.bank.at(offset) {
                Some(register) => Some(self.bank.read(register)),
                None => self.endpoint(offset).map(|register| *register),
            },
        }
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        match at.offset {
            // Anything written lets the endpoint take the next packet.
            0x4a0..0x4c0 => {
                let endpoint = &mut self.out[((at.offset - 0x4a0) / 4) as usize];
                endpoint.open = endpoint.packet.is_none();
            }
            // Endpoint, direction, stalled.
            0x518 => {
                let endpoints = if value & 0x80 != 0 { &mut self.into } else { &mut self.out };
                endpoints[(value & 7) as usize].stalled = value & 0x100 != 0;
            }
            // Work-arounds of errata write here.
            0x800..0xffc => {}
            offset => match self.bank.at(offset) {
                Some(register) => {
                    self.bank.write(register, value);
                    if register == Enable && value & 1 != 0 {
                        ctx.schedule_in(token::READY, Time::from_us(10));
                    }
                    if matches!(register, Enable | UsbPullup) {
                        self.connect(ctx);
                    }
                }
                None if matches!(offset, 0x6a0..0x6b0 | 0x7a0..0x7b0) => {}
                None => *self.endpoint(offset)? = value,
            },
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        match token {
            token::READY => {
                self.bank[EventCause] |= READY;
                block.raise(ctx, event::USBEVENT);
            }
            token::RESET => self.bus_reset(block, ctx),
            _ => {
                ctx.schedule_in(token::VISIT, VISIT);
                self.visits = self.visits.wrapping_add(1);
                if self.visits.is_multiple_of(VISITS_PER_FRAME) {
                    self.bank[FrameCntr] = (self.bank[FrameCntr] + 1) & 0x7ff;
                    block.raise(ctx, event::SOF);
                }
                self.visit(block, ctx);
            }
        }
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Serial)
    }

    fn host_input(&mut self, _block: &mut Block, _ctx: &mut Ctx, input: &HostInput) {
        if let HostInput::Serial(bytes) = input {
            self.host.feed(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};

    type Usb = Bench<Nordic<Usbd>>;

    fn take(bench: &mut Usb, event: u32) -> bool {
        let set = bench.read32(event.into()) != 0;
        bench.write32(event.into(), 0);
        set
    }

    fn setup(bench: &mut Usb) -> [u8; 8] {
        for _ in 0..100 {
            if take(bench, event::EP0SETUP) {
                return std::array::from_fn(|index| bench.read32(0x480 + 4 * index as u64) as u8);
            }
            bench.advance(VISIT);
        }
        panic!("the host sends no setup");
    }

    fn run(bench: &mut Usb, task: u32) {
        bench.write32(task.into(), 1);
    }

    /// Answers a setup with data, in packets.
    fn answer(bench: &mut Usb, data: &[u8]) {
        for packet in data.chunks(64) {
            bench.services.memory.write(RAM, packet).expect("RAM");
            bench.write32(0x600, RAM as u32);
            bench.write32(0x604, packet.len() as u32);
            run(bench, task::STARTEPIN0);
            assert!(take(bench, event::ENDEPIN0));
            bench.advance(VISIT);
            assert!(take(bench, event::EP0DATADONE));
        }
        run(bench, task::EP0STATUS);
    }

    /// A device with a serial function: endpoint 1 to the host, 2 from it.
    fn connected() -> Usb {
        let mut bench = Bench::new(Nordic::new(0x4002_7000, &LAYOUT, Usbd::default()));
        bench.write32(0x500, 1);
        bench.advance(Time::from_us(10));
        assert_eq!((take(&mut bench, event::USBEVENT), bench.read32(0x400)), (true, READY));
        bench.write32(0x504, 1);
        bench.advance(SETTLE);
        assert!(take(&mut bench, event::USBRESET));
        assert_eq!(setup(&mut bench), [0x80, 6, 0, 1, 0, 0, 18, 0]);
        answer(&mut bench, &[18; 18]);
        let configuration: [u8; 67] = std::array::from_fn(|index| {
            let parts: [&[u8]; 4] = [
                &[9, 2, 67, 0, 2, 1, 0, 0x80, 50],
                &[9, 4, 0, 0, 1, 2, 2, 1, 0, 5, 0x24, 0, 0x10, 1, 5, 0x24, 1, 0, 1, 7, 5, 0x83, 3, 16, 0, 10],
                &[9, 4, 1, 0, 2, 0x0a, 0, 0, 0, 7, 5, 0x81, 2, 64, 0, 0, 7, 5, 0x02, 2, 64, 0, 0],
                &[5, 0x24, 6, 0, 1, 4, 0x24, 2, 2],
            ];
            parts.concat()[index]
        });
        assert_eq!((setup(&mut bench)[..3].to_vec(), bench.read32(0x470)), (vec![0, 5, 1], 1));
        assert_eq!(setup(&mut bench)[6], 9, "hardware has answered");
        answer(&mut bench, &configuration[..9]);
        assert_eq!(setup(&mut bench)[6], 67);
        answer(&mut bench, &configuration);
        assert_eq!(setup(&mut bench)[..3], [0, 9, 1]);
        run(&mut bench, task::EP0STATUS);
        assert_eq!(setup(&mut bench)[..2], [0x21, 0x20]);
        run(&mut bench, task::EP0RCVOUT);
        bench.advance(VISIT);
        assert_eq!((take(&mut bench, event::EP0DATADONE), bench.read32(0x4a0)), (true, 7));
        bench.write32(0x700, RAM as u32 + 0x100);
        bench.write32(0x704, 7);
        bench.write32(0x200, 1 << 3);
        run(&mut bench, task::STARTEPOUT0);
        assert_eq!(bench.services.memory.read_le(RAM + 0x100, 4).ok(), Some(115_200));
        assert_eq!(setup(&mut bench)[..3], [0x21, 0x22, 3]);
        run(&mut bench, task::EP0STATUS);
        bench
    }

    #[test]
    fn is_enumerated_and_carries_a_line() {
        let mut bench = connected();
        assert_eq!(bench.device.model.host.stage, Stage::Ready);
        bench.services.memory.write(RAM, b"hello").expect("RAM");
        bench.write32(0x614, RAM as u32);
        bench.write32(0x618, 5);
        run(&mut bench, task::STARTEPIN1);
        bench.advance(VISIT);
        assert_eq!((bench.serial(), take(&mut bench, event::EPDATA)), (b"hello".to_vec(), true));
        assert_eq!(bench.read32(0x46c), 1 << 1);
        bench.write32(0x46c, 1 << 1);
        bench.input(HostInput::Serial(b"0123456789".repeat(7)));
        bench.advance(VISIT);
        assert!(!take(&mut bench, event::EPDATA), "no room yet");
        bench.write32(0x4a8, 0);
        bench.advance(VISIT);
        assert!(take(&mut bench, event::EPDATA));
        assert_eq!((bench.read32(0x46c), bench.read32(0x4a8)), (1 << 18, 64));
        bench.write32(0x728, RAM as u32 + 0x200);
        bench.write32(0x72c, 64);
        run(&mut bench, task::STARTEPOUT2);
        assert_eq!((take(&mut bench, event::ENDEPOUT2), bench.read32(0x730)), (true, 64));
        bench.advance(VISIT);
        assert_eq!(bench.read32(0x4a8), 6);
        bench.check_save_restore();
        bench.write32(0x504, 0);
        assert_eq!(bench.device.model.host.stage, Stage::Detached);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = if u.ratio(1, 8)? {
                connected()
            } else {
                Bench::new(Nordic::new(0x4002_7000, &LAYOUT, Usbd::default()))
            };
            bench.torture(&bytes, 0x7b0);
            bench.check_save_restore();
            Ok(())
        });
    }
}
