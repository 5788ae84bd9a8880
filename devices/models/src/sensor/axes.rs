//! Which of three axes have a sample that nobody has read, as Freescale's sensors tell it: `DR` in bits 0 to 2 and, of
//! all, 3; `OW`, for one that another has replaced, in bits 4 to 6 and 7.

use serde::{Deserialize, Serialize};

const AXES: u8 = 0x07;
const ALL: u8 = 0x08;

/// The register `STATUS` or `DR_STATUS`.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Axes(u8);

impl Axes {
    /// There is a new sample of each.
    pub fn sampled(&mut self) {
        let overwritten = self.0 & AXES;
        let any = u8::from(overwritten != 0) << 7;
        self.0 |= AXES | ALL | overwritten << 4 | any;
    }

    /// The high byte of axis 0, 1 or 2 is read.
    pub fn read(&mut self, axis: u32) {
        self.0 &= !(0x11 << axis.min(2));
        if self.0 & AXES == 0 {
            self.0 = 0;
        }
    }

    /// Whether there is something that was not read.
    pub fn ready(self) -> bool {
        self.0 & ALL != 0
    }

    /// The register.
    pub fn bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_new_and_what_was_lost() {
        let mut axes = Axes::default();
        axes.sampled();
        assert_eq!((axes.bits(), axes.ready()), (0x0f, true));
        axes.read(1);
        assert_eq!(axes.bits(), 0x0d);
        axes.sampled();
        assert_eq!(axes.bits(), 0xdf);
        axes.read(0);
        axes.read(2);
        assert_eq!(axes.bits(), 0x8a);
        axes.read(1);
        assert_eq!((axes.bits(), axes.ready()), (0, false));
    }
}
