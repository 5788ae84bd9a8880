//! The registers in gdb's numbering: r0-12, sp, lr and pc 0-15, xpsr 25; the features `org.gnu.gdb.arm.m-profile`, `m-system`
//! and `vfp`, of which gdb numbers the registers behind those as they come.

use cpu_core::{RegisterGroup, RegisterInfo};

use crate::config::ArmConfig;

/// Where a register is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    R(u8),
    Pc,
    Xpsr,
    Msp,
    Psp,
    Primask,
    Basepri,
    Faultmask,
    Control,
    D(u8),
    Fpscr,
}

/// What [`cpu_core::Core::registers`] lists, and where each is.
pub(crate) struct Registers {
    pub infos: Vec<RegisterInfo>,
    pub places: Vec<Place>,
}

const R: [&str; 15] =
    ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "sp", "lr"];
const D: [&str; 16] =
    ["d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15"];

impl Registers {
    pub fn new(config: &ArmConfig) -> Registers {
        let mut list = Registers { infos: Vec::new(), places: Vec::new() };
        for (r, name) in (0u8..).zip(R) {
            let kind = if name == "sp" { "data_ptr" } else { "int" };
            list.add(name, r as u32, 32, kind, RegisterGroup::General, Place::R(r));
        }
        list.add("pc", 15, 32, "code_ptr", RegisterGroup::General, Place::Pc);
        list.add("xpsr", 25, 32, "int", RegisterGroup::General, Place::Xpsr);
        if config.fpu {
            for (d, name) in (0u8..).zip(D) {
                list.add(name, 26 + d as u32, 64, "ieee_double", RegisterGroup::Float, Place::D(d));
            }
            list.add("fpscr", 42, 32, "int", RegisterGroup::Float, Place::Fpscr);
        }
        for (number, (name, kind, place)) in (43..).zip([
            ("msp", "data_ptr", Place::Msp),
            ("psp", "data_ptr", Place::Psp),
            ("primask", "int", Place::Primask),
            ("basepri", "int", Place::Basepri),
            ("faultmask", "int", Place::Faultmask),
            ("control", "int", Place::Control),
        ]) {
            if config.is_v7m() || !matches!(place, Place::Basepri | Place::Faultmask) {
                list.add(name, number, 32, kind, RegisterGroup::System, place);
            }
        }
        list
    }

    fn add(
        &mut self,
        name: &'static str,
        number: u32,
        bits: u32,
        kind: &'static str,
        group: RegisterGroup,
        place: Place,
    ) {
        self.infos.push(RegisterInfo { name, number, bits, kind, group });
        self.places.push(place);
    }
}
