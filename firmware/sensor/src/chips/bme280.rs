//! Bosch BME280: temperature, humidity and pressure (data sheet BST-BME280-DS002, compensation of section 4.2.3).

use crate::{Bus, Error};

/// On the bus.
pub const ADDRESS: u8 = 0x76;
const ID: u8 = 0xd0;
const CALIBRATION_1: u8 = 0x88;
const CALIBRATION_2: u8 = 0xe1;
const CONTROL_HUMIDITY: u8 = 0xf2;
const STATUS: u8 = 0xf3;
const CONTROL: u8 = 0xf4;
const DATA: u8 = 0xf7;

/// Each quantity sampled once, on demand ("forced mode").
const ONCE: u8 = 1;
const FORCED: u8 = 1 << 5 | 1 << 2 | 1;
const MEASURING: u8 = 1 << 3;

/// A chip, with its trimming values.
pub struct Bme280 {
    t: [i32; 3],
    p: [i64; 9],
    h: [i32; 6],
}

/// A sample.
pub struct Climate {
    /// In 1/100 degree Celsius.
    pub temperature: i32,
    /// In 1/1024 percent.
    pub humidity: u32,
    /// In 1/256 Pa.
    pub pressure: u32,
}

impl Bme280 {
    /// Finds the chip and sets it up.
    pub fn new(bus: &mut impl Bus) -> Result<Self, Error> {
        bus.expect(ADDRESS, ID, 0x60)?;
        let a: [u8; 26] = bus.read(ADDRESS, CALIBRATION_1)?;
        let b: [u8; 7] = bus.read(ADDRESS, CALIBRATION_2)?;
        let unsigned = |i: usize| u16::from_le_bytes([a[2 * i], a[2 * i + 1]]);
        let signed = |i: usize| unsigned(i) as i16;
        let mut p = core::array::from_fn(|i| i64::from(signed(3 + i)));
        p[0] = i64::from(unsigned(3));
        // H4 and H5 are 12 bits each and share the byte 0xe5.
        let h4 = i32::from(b[3] as i8) << 4 | i32::from(b[4] & 0x0f);
        let h5 = i32::from(b[5] as i8) << 4 | i32::from(b[4] >> 4);
        let h2 = i32::from(i16::from_le_bytes([b[0], b[1]]));
        let h = [i32::from(a[25]), h2, i32::from(b[2]), h4, h5, i32::from(b[6] as i8)];
        bus.write(ADDRESS, CONTROL_HUMIDITY, ONCE)?;
        Ok(Self { t: [i32::from(unsigned(0)), i32::from(signed(1)), i32::from(signed(2))], p, h })
    }

    /// Reads a sample.
    pub fn sample(&self, bus: &mut impl Bus) -> Result<Climate, Error> {
        bus.write(ADDRESS, CONTROL, FORCED)?;
        // A measurement takes 9.3 ms at most.
        let mut waited = 0;
        while {
            bus.wait_ms(3);
            let [status] = bus.read(ADDRESS, STATUS)?;
            status & MEASURING != 0
        } {
            waited += 3;
            if waited > 50 {
                return Err(Error::Bus);
            }
        }
        let d: [u8; 8] = bus.read(ADDRESS, DATA)?;
        let twenty = |i: usize| i32::from(d[i]) << 12 | i32::from(d[i + 1]) << 4 | i32::from(d[i + 2] >> 4);
        let (pressure, temperature) = (twenty(0), twenty(3));
        let humidity = i32::from(d[6]) << 8 | i32::from(d[7]);
        let fine = self.fine(temperature);
        Ok(Climate {
            temperature: (fine * 5 + 128) >> 8,
            humidity: self.humidity(humidity, fine),
            pressure: self.pressure(pressure, fine),
        })
    }

    /// The temperature that the other two compensations need, in 1/5120 degree.
    fn fine(&self, raw: i32) -> i32 {
        let [t1, t2, t3] = self.t;
        let a = (((raw >> 3) - (t1 << 1)) * t2) >> 11;
        let b = (raw >> 4) - t1;
        a + ((((b * b) >> 12) * t3) >> 14)
    }

    fn pressure(&self, raw: i32, fine: i32) -> u32 {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9] = self.p;
        let a = i64::from(fine) - 128_000;
        let b = a * a * p6 + ((a * p5) << 17) + (p4 << 35);
        let c = ((a * a * p3) >> 8) + ((a * p2) << 12);
        let c = (((1 << 47) + c) * p1) >> 33;
        if c == 0 {
            return 0;
        }
        let p = (((1_048_576 - i64::from(raw)) << 31) - b) * 3125 / c;
        let d = (p9 * (p >> 13) * (p >> 13)) >> 25;
        let e = (p8 * p) >> 19;
        (((p + d + e) >> 8) + (p7 << 4)) as u32
    }

    fn humidity(&self, raw: i32, fine: i32) -> u32 {
        let [h1, h2, h3, h4, h5, h6] = self.h;
        let v = fine - 76_800;
        let a = ((raw << 14) - (h4 << 20) - h5 * v + 16_384) >> 15;
        let b = ((((v * h6) >> 10) * (((v * h3) >> 11) + 32_768)) >> 10) + 2_097_152;
        let c = a * ((b * h2 + 8192) >> 14);
        let d = c - (((((c >> 15) * (c >> 15)) >> 7) * h1) >> 4);
        (d.clamp(0, 419_430_400) >> 12) as u32
    }
}
