//! The drivers against a bus of plain register arrays.

extern crate std;

use std::{collections::BTreeMap, vec::Vec};

use crate::{Bus, Error, bh1750::Bh1750, bme280::Bme280, lsm6dso::Lsm6dso, max17048::Max17048};

/// Chips as 256 registers each, with an address that increases; writes are noted.
#[derive(Default)]
struct Registers {
    chips: BTreeMap<u8, [u8; 256]>,
    written: Vec<(u8, Vec<u8>)>,
}

impl Registers {
    fn set(&mut self, chip: u8, from: u8, bytes: &[u8]) {
        let registers = self.chips.entry(chip).or_insert([0; 256]);
        registers[from as usize..from as usize + bytes.len()].copy_from_slice(bytes);
    }
}

impl Bus for Registers {
    fn transfer(&mut self, address: u8, write: &[u8], read: &mut [u8]) -> Result<(), Error> {
        let chip = self.chips.get(&address).ok_or(Error::NoAnswer)?;
        let from = *write.first().unwrap_or(&0) as usize;
        read.copy_from_slice(&chip[from..from + read.len()]);
        if read.is_empty() {
            self.written.push((address, write.to_vec()));
        }
        Ok(())
    }

    fn wait_ms(&mut self, _: u32) {}
}

/// The worked example that Bosch gives for the temperature and pressure formulas (data sheet of the BMP280, section 3.12,
/// whose formulas are the same), and a humidity computed by the floating-point formulas of the BME280's data sheet.
#[test]
fn bme280_compensates_as_the_data_sheet() {
    let mut bus = Registers::default();
    bus.set(0x76, 0xd0, &[0x60]);
    let trim: [i32; 12] =
        [27_504, 26_435, -1000, 36_477, -10_685, 3024, 2855, 140, -7, 15_500, -14_600, 6000];
    let trim: Vec<u8> = trim.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect();
    bus.set(0x76, 0x88, &trim);
    // H1 75, H2 361, H3 0, H4 324, H5 50, H6 30.
    bus.set(0x76, 0xa1, &[75]);
    bus.set(0x76, 0xe1, &[0x69, 0x01, 0, 324u16.to_be_bytes()[1] >> 4 | 0x10, 0x24, 50 >> 4, 30]);
    let chip = Bme280::new(&mut bus).unwrap();
    let twenty = |v: u32| [(v >> 12) as u8, (v >> 4) as u8, (v << 4) as u8];
    bus.set(0x76, 0xf7, &twenty(415_148));
    bus.set(0x76, 0xfa, &twenty(519_888));
    bus.set(0x76, 0xfd, &30_000u16.to_be_bytes());
    let sample = chip.sample(&mut bus).unwrap();
    assert_eq!(sample.temperature, 2508);
    // 100653.27 Pa in floating point, 100653.25 in the 64-bit integers that we use.
    assert_eq!(sample.pressure, 25_767_233);
    let expected = humidity(30_000.0, 128_422.0);
    assert!((f64::from(sample.humidity) / 1024.0 - expected).abs() < 0.05, "{} {expected}", sample.humidity);
    assert_eq!(bus.written, [(0x76, [0xf2, 0x01].to_vec()), (0x76, [0xf4, 0x25].to_vec())]);
}

/// The floating-point formula of the data sheet, appendix 8.1.
fn humidity(raw: f64, fine: f64) -> f64 {
    let (h1, h2, h3, h4, h5, h6) = (75.0, 361.0, 0.0, 324.0, 50.0, 30.0);
    let v = fine - 76_800.0;
    let v = (raw - (h4 * 64.0 + h5 / 16_384.0 * v))
        * (h2 / 65_536.0 * (1.0 + h6 / 67_108_864.0 * v * (1.0 + h3 / 67_108_864.0 * v)));
    (v * (1.0 - h1 * v / 524_288.0)).clamp(0.0, 100.0)
}

#[test]
fn bme280_gives_up_when_the_measurement_never_ends() {
    let mut bus = Registers::default();
    bus.set(0x76, 0xd0, &[0x60]);
    bus.set(0x76, 0xf3, &[0x08]);
    let chip = Bme280::new(&mut bus).unwrap();
    assert_eq!(chip.sample(&mut bus).err(), Some(Error::Bus));
}

#[test]
fn lsm6dso_scales_both_ranges() {
    let mut bus = Registers::default();
    bus.set(0x6a, 0x0f, &[0x6c]);
    bus.set(0x6a, 0x22, &[0x10, 0x27, 0xf0, 0xd8, 0, 0, 0, 0, 0, 0, 0x0a, 0x40]);
    let motion = Lsm6dso::new(&mut bus).unwrap().sample(&mut bus).unwrap();
    assert_eq!(motion.rotation, [87_500, -87_500, 0]);
    assert_eq!(motion.acceleration, [0, 0, 1000]);
}

#[test]
fn light_and_battery() {
    let mut bus = Registers::default();
    // 1200 counts are 1000 lx. A BH1750 has no registers, so that a plain read starts at 0.
    bus.set(0x23, 0, &1200u16.to_be_bytes());
    bus.set(0x36, 0x02, &[0xc3, 0x50, 0x57, 0x80]);
    bus.set(0x36, 0x08, &[0x00, 0x12]);
    assert_eq!(Bh1750::new(&mut bus).unwrap().sample(&mut bus), Ok(10_000));
    let battery = Max17048::new(&mut bus).unwrap().sample(&mut bus).unwrap();
    assert_eq!((battery.voltage, battery.charge), (3906, 875));
}

#[test]
fn a_missing_or_wrong_chip_is_an_error() {
    let mut bus = Registers::default();
    assert_eq!(Bme280::new(&mut bus).err(), Some(Error::NoAnswer));
    bus.set(0x6a, 0x0f, &[0x6a]);
    assert_eq!(Lsm6dso::new(&mut bus).err(), Some(Error::Other(0x6a)));
}
