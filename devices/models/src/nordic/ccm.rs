//! CCM and AAR: packet encryption and address resolution, two peripherals behind one set of registers.
//!
//! Follows the nRF52832 product specification v1.4, chapters 20 and 24, with MAXPACKETSIZE and RATEOVERRIDE of the nRF52840
//! (v1.7, 6.4). ENABLE decides which of the two it is.
//!
//! The key stream belongs to what CNFPTR points to at KSGEN. Decryption follows the radio at the data rate: the length is
//! taken when the header must have been received after CRYPT, the rest when the packet must be complete. Encryption puts
//! the whole packet into RAM when CRYPT runs, because the radio's model reads it at START, where the hardware's two run
//! one behind the other; ENDCRYPT comes a microsecond for each byte later. Left out: the scratch area stays as it is.

use super::block::{Block, Nordic, Peripheral};
use super::crypto::Ccm;
use super::{aar, base_address};
use devices_core::regs::Bank;
use devices_core::{
    At, BuildArgs, BuildError, Component, Ctx, Device, Field, Model, RestoreError, Time, register_bank, state,
};
use serde::{Deserialize, Serialize};

// START, END, RESOLVED and NOTRESOLVED of the AAR are KSGEN, ENDKSGEN, ENDCRYPT and ERROR.
crate::nordic_layout! {
    tasks { KSGEN = 0x000, CRYPT = 0x004, STOP = 0x008, RATEOVERRIDE = 0x00c }
    events { ENDKSGEN = 0x100, ENDCRYPT = 0x104, ERROR = 0x108 }
    shorts { 0: ENDKSGEN => CRYPT }
}

const RESOLVED: u32 = event::ENDCRYPT;
const NOTRESOLVED: u32 = event::ERROR;
const END: u32 = event::ENDKSGEN;

register_bank! {
    /// Registers; names of the AAR behind those of the CCM.
    enum Registers {
        Status = 0x400, ro, reset 0;
        Enable = 0x500, rw(0x3), reset 0;
        /// NIRK
        Mode = 0x504, rw(0x0103_001f), reset 1, { MODE: 0, DATARATE: 16 .. 18, LENGTH: 24 };
        /// IRKPTR
        Cnfptr = 0x508, rw(u32::MAX), reset 0;
        Inptr = 0x50c, rw(u32::MAX), reset 0;
        /// ADDRPTR
        Outptr = 0x510, rw(u32::MAX), reset 0;
        Scratchptr = 0x514, rw(u32::MAX), reset 0;
        Maxpacketsize = 0x518, rw(0xff), reset 0xfb;
        Rateoverride = 0x51c, rw(0x3), reset 0;
    }
}

/// The CCM and AAR of the nRF51 and nRF52 series.
pub const MODEL: Model = Model {
    compatible: &["nordic,nrf-ccm"],
    summary: "Nordic AES CCM and address resolver",
    rom: &[],
    ram: &[],
    build,
};

fn build(args: &mut BuildArgs) -> Result<Box<dyn Device>, BuildError> {
    let base = base_address(args)?;
    Ok(Box::new(Nordic::new(base, &LAYOUT, CcmAar::default())))
}

/// tkgen: the key stream of a packet.
const KEY_STREAM: Time = Time::from_us(50);
/// What the decryption is behind the radio.
const BEHIND: Time = Time::from_us(1);
/// The check at the end of a packet, in bytes.
const MIC: u8 = 4;
/// Of the first header byte, what the check covers: not NESN, SN and MD.
const HEADER_MASK: u8 = 0xe3;

const KEY_STREAM_DONE: u32 = 0;
const HEADER: u32 = 1;
const PACKET: u32 = 2;
const RESOLUTION: u32 = 3;

#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    regs: Bank<Registers>,
    /// Key and nonce of the last KSGEN.
    stream: Option<([u8; 16], [u8; 13])>,
    /// DATARATE, or what overrides it.
    rate: u32,
    /// When CRYPT ran for a packet that is on its way in.
    crypt: Option<Time>,
    /// What the resolution under way will find.
    found: Option<u32>,
}

/// See the module.
#[derive(Default)]
pub struct CcmAar {
    state: State,
}

impl State {
    fn is_ccm(&self) -> bool {
        self.regs[Registers::Enable] == 2
    }

    fn is_aar(&self) -> bool {
        self.regs[Registers::Enable] == 3
    }

    fn read<const N: usize>(&self, ctx: &mut Ctx, at: u32) -> [u8; N] {
        let mut bytes = [0; N];
        if ctx.memory().read(at.into(), &mut bytes).is_err() {
            ctx.complain(format!("there is no memory at {at:#010x}"));
        }
        bytes
    }

    fn start_key_stream(&mut self, ctx: &mut Ctx) {
        let config: [u8; 33] = self.read(ctx, self.regs[Registers::Cnfptr]);
        let mut key = [0; 16];
        key.copy_from_slice(&config[..16]);
        let mut nonce = [0; 13];
        nonce[..5].copy_from_slice(&config[16..21]);
        nonce[4] = nonce[4] & 0x7f | config[24] << 7;
        nonce[5..].copy_from_slice(&config[25..]);
        self.stream = Some((key, nonce));
        self.rate = self.regs[Registers::Mode] >> 16 & 3;
        ctx.schedule_in(KEY_STREAM_DONE, KEY_STREAM);
    }

    fn crypt(&mut self, block: &mut Block, ctx: &mut Ctx) {
        if self.stream.is_none() {
            block.raise(ctx, event::ERROR);
        } else if self.regs[Registers::Mode] & 1 == 0 {
            let length = self.encrypt(ctx);
            ctx.schedule_in(PACKET, Time::from_us(u64::from(length) + 3));
        } else {
            self.crypt = Some(ctx.now());
            self.follow(ctx, HEADER, 16);
        }
    }

    /// Asks for an event when the radio has received so many bits behind the address.
    fn follow(&self, ctx: &mut Ctx, token: u32, bits: u64) {
        let Some(start) = self.crypt else { return };
        // Coded packets have an indicator and a terminator before.
        let (bit, before) = match self.rate {
            0 => (1_000_000, 0),
            1 => (500_000, 0),
            2 => (8_000_000, 40_000_000),
            _ => (2_000_000, 40_000_000),
        };
        let at = start.saturating_add(Time(before + bits * bit)).saturating_add(BEHIND);
        // The key stream has to be there as well.
        ctx.schedule(token, at.max(ctx.due(KEY_STREAM_DONE).unwrap_or(Time::ZERO)));
    }

    /// The length field, as wide as it is.
    fn length(&self, field: u8) -> u8 {
        if self.regs[Registers::Mode] >> 24 & 1 != 0 { field } else { field & 0x1f }
    }

    /// Bytes of payload, its check included.
    fn most(&self) -> u8 {
        let extended = self.regs[Registers::Mode] >> 24 & 1 != 0;
        let most = if extended { self.regs[Registers::Maxpacketsize] as u8 } else { 27 };
        most.saturating_add(MIC)
    }

    /// Reads a packet at INPTR: header byte, length, the byte between, payload.
    fn packet(&self, ctx: &mut Ctx, most: u8) -> ([u8; 3], Vec<u8>) {
        let at = self.regs[Registers::Inptr];
        let header: [u8; 3] = self.read(ctx, at);
        let payload: [u8; 255] = {
            let mut bytes = [0; 255];
            let length = usize::from(self.length(header[1]).min(most));
            if ctx.memory().read(at.wrapping_add(3).into(), &mut bytes[..length]).is_err() {
                ctx.complain("INPTR does not point to memory");
            }
            bytes
        };
        (header, payload[..usize::from(self.length(header[1]).min(most))].to_vec())
    }

    fn store(&self, ctx: &mut Ctx, header: [u8; 3], payload: &[u8]) {
        let bytes = [&header, payload].concat();
        if ctx.memory().write(self.regs[Registers::Outptr].into(), &bytes).is_err() {
            ctx.complain("OUTPTR does not point to RAM");
        }
    }

    /// Gives the length of what it put out.
    fn encrypt(&self, ctx: &mut Ctx) -> u8 {
        let (mut header, mut payload) = self.packet(ctx, self.most() - MIC);
        if let Some((key, nonce)) = self.stream.as_ref().filter(|_| !payload.is_empty()) {
            let ccm = Ccm { key, nonce };
            let mic = ccm.mic::<4>(&[header[0] & HEADER_MASK], &payload);
            ccm.crypt(&mut payload);
            payload.extend(mic);
        }
        header[1] = payload.len() as u8;
        self.store(ctx, header, &payload);
        header[1]
    }

    fn decrypt(&mut self, ctx: &mut Ctx) {
        let (mut header, mut payload) = self.packet(ctx, self.most());
        // Empty packets have no check.
        let mut right = payload.is_empty();
        if let Some((key, nonce)) = self.stream.as_ref().filter(|_| !payload.is_empty()) {
            let ccm = Ccm { key, nonce };
            let mic = payload.split_off(payload.len().saturating_sub(MIC.into()));
            ccm.crypt(&mut payload);
            right = ccm.mic::<4>(&[header[0] & HEADER_MASK], &payload) == mic[..];
        }
        header[1] = payload.len() as u8;
        self.store(ctx, header, &payload);
        self.regs[Registers::Status] = right.into();
    }

    fn start_resolution(&mut self, ctx: &mut Ctx) {
        // The address stands behind the three header bytes of a packet.
        let address = self.read(ctx, self.regs[Registers::Outptr].wrapping_add(3));
        let keys = self.regs[Registers::Mode] & 0x1f;
        let keys: Vec<[u8; 16]> =
            (0..keys).map(|n| self.read(ctx, self.regs[Registers::Cnfptr].wrapping_add(16 * n))).collect();
        let (found, tried) = aar::resolve(address, keys.into_iter());
        self.found = found;
        ctx.schedule_in(RESOLUTION, Time(aar::PER_KEY.0 * u64::from(tried) + 1_000_000));
    }

    fn stop(&mut self, ctx: &mut Ctx) {
        self.stream = None;
        self.crypt = None;
        [KEY_STREAM_DONE, HEADER, PACKET, RESOLUTION].iter().for_each(|token| ctx.cancel(*token));
    }
}

impl Component for CcmAar {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.state = state::decode(bytes)?;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        self.state.regs.inspect()
    }
}

impl Peripheral for CcmAar {
    fn reset(&mut self, _block: &mut Block, _ctx: &mut Ctx) {
        self.state = State::default();
    }

    fn task(&mut self, block: &mut Block, ctx: &mut Ctx, task: u32) {
        let state = &mut self.state;
        match task {
            task::KSGEN if state.is_ccm() => {
                state.stop(ctx);
                state.start_key_stream(ctx);
            }
            task::CRYPT if state.is_ccm() => state.crypt(block, ctx),
            task::RATEOVERRIDE if state.is_ccm() => {
                state.rate = state.regs[Registers::Rateoverride] & 3;
                if ctx.due(HEADER).is_some() {
                    state.follow(ctx, HEADER, 16);
                }
            }
            task::KSGEN if state.is_aar() => state.start_resolution(ctx),
            task::STOP => {
                let resolving = ctx.due(RESOLUTION).is_some();
                state.stop(ctx);
                if resolving {
                    block.raise(ctx, END);
                }
            }
            _ => {}
        }
    }

    fn read(&mut self, _block: &mut Block, _ctx: &mut Ctx, at: At) -> Option<u32> {
        Some(self.state.regs.read(self.state.regs.at(at.offset)?))
    }

    fn write(&mut self, _block: &mut Block, ctx: &mut Ctx, at: At, value: u32) -> Option<()> {
        let register = self.state.regs.at(at.offset)?;
        let before = self.state.regs.write(register, value);
        if register == Registers::Enable && before != self.state.regs[register] {
            self.state.stop(ctx);
        }
        Some(())
    }

    fn event(&mut self, block: &mut Block, ctx: &mut Ctx, token: u32) {
        let state = &mut self.state;
        match token {
            KEY_STREAM_DONE => block.raise(ctx, event::ENDKSGEN),
            HEADER => {
                let [_, length, _]: [u8; 3] = state.read(ctx, state.regs[Registers::Inptr]);
                let length = state.length(length).min(state.most());
                state.follow(ctx, PACKET, 16 + 8 * u64::from(length));
            }
            PACKET => {
                if state.crypt.take().is_some() {
                    state.decrypt(ctx);
                }
                state.stream = None;
                block.raise(ctx, event::ENDCRYPT);
            }
            RESOLUTION => {
                if let Some(key) = state.found {
                    state.regs[Registers::Status] = key;
                }
                block.raise(ctx, if state.found.is_some() { RESOLVED } else { NOTRESOLVED });
                block.raise(ctx, END);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{Bench, RAM};

    const CONFIG: u64 = RAM;
    const IN: u64 = RAM + 0x100;
    const OUT: u64 = RAM + 0x300;

    fn bench(enable: u32) -> Bench<Nordic<CcmAar>> {
        let mut bench = Bench::new(Nordic::new(0x4000_f000, &LAYOUT, CcmAar::default()));
        bench.write32(0x500, enable);
        for (register, value) in [(0x508, CONFIG), (0x50c, IN), (0x510, OUT)] {
            bench.write32(register, value as u32);
        }
        bench
    }

    fn put(bench: &Bench<Nordic<CcmAar>>, at: u64, bytes: &[u8]) {
        bench.services.memory.write(at, bytes).expect("it is RAM");
    }

    fn get(bench: &Bench<Nordic<CcmAar>>, at: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        bench.services.memory.read(at, &mut bytes).expect("it is RAM");
        bytes
    }

    /// The session of the Core Specification's sample data (volume 6, part C, section 1), counter 1, to the peripheral.
    fn config(bench: &Bench<Nordic<CcmAar>>) {
        put(bench, CONFIG, &0x99ad_1b52_26a3_7e3e_058e_3b8e_27c2_c666_u128.to_be_bytes());
        put(bench, CONFIG + 16, &[1, 0, 0, 0, 0x80, 0, 0, 0, 1]);
        put(bench, CONFIG + 25, &0x24ab_dcba_beba_afde_u64.to_be_bytes());
    }

    const CLEAR: &[u8] = b"\x0e\x1b\x00\x17\x00cdefghijklmnopq1234567890";
    const CIPHER: [u8; 34] = [
        0x0e, 0x1f, 0x00, 0x7a, 0x70, 0xd6, 0x64, 0x15, 0x22, 0x6d, 0xf2, 0x6b, 0x17, 0x83, 0x9a, 0x06, 0x04,
        0x05, 0x59, 0x6b, 0xd6, 0x56, 0x4f, 0x79, 0x6b, 0x5b, 0x9c, 0xe6, 0xff, 0x32, 0xf7, 0x5a, 0x6d, 0x33,
    ];

    #[test]
    fn encryption() {
        let mut bench = bench(2);
        config(&bench);
        put(&bench, IN, CLEAR);
        bench.write32(0x504, 0x0100_0000);
        bench.write32(0x200, 1);
        bench.write32(task::KSGEN.into(), 1);
        bench.advance(Time::from_us(50));
        assert_eq!(bench.read32(event::ENDKSGEN.into()), 1);
        assert_eq!(get(&bench, OUT, 34), CIPHER);
        assert_eq!(bench.read32(event::ENDCRYPT.into()), 0);
        bench.advance(Time::from_us(40));
        assert_eq!(bench.read32(event::ENDCRYPT.into()), 1);
        put(&bench, IN, &[1, 0, 0]);
        bench.write32(task::KSGEN.into(), 1);
        bench.advance(Time::from_us(100));
        assert_eq!(get(&bench, OUT, 3), [1, 0, 0], "an empty packet gets no check");
        bench.write32(task::CRYPT.into(), 1);
        assert_eq!(bench.read32(event::ERROR.into()), 1, "the key stream is used up");
    }

    #[test]
    fn decryption_follows_the_radio() {
        let mut bench = bench(2);
        config(&bench);
        bench.write32(0x504, 0x0100_0001);
        bench.write32(task::KSGEN.into(), 1);
        bench.advance(Time::from_us(40));
        bench.write32(task::CRYPT.into(), 1);
        bench.advance(Time::from_us(16));
        put(&bench, IN, &CIPHER[..3]);
        bench.advance(Time::from_us(31 * 8));
        put(&bench, IN, &CIPHER);
        bench.check_save_restore();
        assert_eq!(bench.read32(event::ENDCRYPT.into()), 0);
        bench.advance(Time::from_us(1));
        assert_eq!((bench.read32(event::ENDCRYPT.into()), bench.read32(0x400)), (1, 1));
        assert_eq!(get(&bench, OUT, 30), CLEAR);
        // NESN, SN and MD may change; anything else may not.
        for (bit, right) in [(0x04, 1), (0x08, 1), (0x10, 1), (0x01, 0)] {
            put(&bench, IN, &[CIPHER[0] ^ bit]);
            bench.write32(task::KSGEN.into(), 1);
            bench.write32(task::CRYPT.into(), 1);
            bench.advance(Time::from_ms(1));
            assert_eq!(bench.read32(0x400), right, "{bit:#x}");
        }
    }

    #[test]
    fn resolution() {
        let mut bench = bench(3);
        put(&bench, CONFIG + 16, &0xec02_34a3_57c8_ad05_3410_10a6_0a39_7d9b_u128.to_be_bytes());
        put(&bench, OUT + 3, &[0xaa, 0xfb, 0x0d, 0x94, 0x81, 0x70]);
        bench.write32(0x504, 3);
        bench.write32(0x304, 2);
        bench.write32(task::KSGEN.into(), 1);
        bench.advance(Time::from_us(12));
        assert!(!bench.line(0));
        bench.advance(Time::from_us(1));
        assert!(bench.line(0));
        let events = [END, RESOLVED, NOTRESOLVED].map(|event| bench.read32(event.into()));
        assert_eq!((events, bench.read32(0x400)), ([1, 1, 0], 1));
        bench.write32(0x504, 1);
        bench.write32(task::KSGEN.into(), 1);
        bench.advance(Time::from_us(7));
        assert_eq!(bench.read32(NOTRESOLVED.into()), 1);
    }

    #[test]
    fn survives_anything() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let mut bench = bench(u.int_in_range(0..=3)?);
            bench.torture(&bytes, 0x520);
            bench.check_save_restore();
            Ok(())
        });
    }
}
