//! The settings' two pages of flash, at its end.

use embassy_nrf::{Peri, nvmc::Nvmc, peripherals::NVMC};
use watch_app::settings::{Flash, PAGE};

/// Where they begin; `memory.x` keeps the program out of there.
const BASE: u32 = 0x7_e000;

/// The chip's own flash. While a page is erased, for 85 ms, the core stands still.
pub struct Pages(Nvmc<'static>);

impl Pages {
    pub fn new(nvmc: Peri<'static, NVMC>) -> Self {
        Self(Nvmc::new(nvmc))
    }
}

// Failures are those of addresses out of range or not aligned; what was not written is found when it is read back.
impl Flash for Pages {
    fn read(&mut self, at: u32, bytes: &mut [u8]) {
        use embedded_storage::nor_flash::ReadNorFlash;
        let _ = self.0.read(BASE + at, bytes);
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        use embedded_storage::nor_flash::NorFlash;
        let _ = self.0.write(BASE + at, bytes);
    }

    fn erase(&mut self, page: u32) {
        use embedded_storage::nor_flash::NorFlash;
        let _ = self.0.erase(BASE + page, BASE + page + PAGE);
    }
}
